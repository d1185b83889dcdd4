import t from 'tap'
import { compileWorkflow } from './compile.js'
import { createWorkflowValidator } from './validate.js'

const validate = createWorkflowValidator()
const GOOD = { key: 'w', on: 'a.b', to: 'data.who', content: { title: 'Hello' }, steps: ['inbox'] }

const WRONG: readonly [why: string, part: object, path: RegExp][] = [
  ['a step that nobody knows', { steps: ['pigeon'] }, /^steps\.0/],
  ['a wait over 365d', { steps: ['inbox', { wait: '366d' }, 'push'] }, /^steps\.1\.wait/],
  ['a step after it has expired', { expires: '1m', steps: ['inbox', { wait: '1m' }, 'push'] }, /^steps\.2/],
  ['bad CEL', { if: 'data.a ==' }, /^if$/],
  ['CEL over an unknown name', { if: 'dada.a == 1' }, /^if$/],
  ['bad Liquid', { content: { title: '{{ data.a' } }, /title/],
  ['nothing to say', { content: undefined }, /steps\.0/],
  ['a webhook without https', { steps: [{ webhook: { url: 'http://example.com/' } }] }, /webhook/],
  ['a webhook without an address', { steps: ['webhook'] }, /webhook/],
  ['no steps', { steps: [] }, /steps/],
  ['a field that nobody knows', { colour: 'red' }, /colour/],
]

t.test('every problem of a workflow has its place and a remedy', async (t) => {
  t.ok(validate(GOOD).ok)
  for (const [why, part, path] of WRONG) {
    const result = validate(JSON.parse(JSON.stringify({ ...GOOD, ...part })))
    const problems = result.ok ? [] : result.problems
    t.ok(
      problems.some((problem) => path.test(problem.path)),
      `${why}: ${JSON.stringify(problems)}`,
    )
    t.ok(
      problems.every(({ message, remedy }) => message !== '' && remedy !== ''),
      `${why}: what to do`,
    )
  }
})

t.test('two problems are told at once', async (t) => {
  const result = validate({
    ...GOOD,
    steps: ['inbox', { wait: '366d' }, { webhook: { url: 'http://a.example/' } }],
  })
  t.ok(!result.ok && result.problems.length >= 2)
})

const scope = (data: unknown) => ({
  data,
  user: { id: 'u', name: null, email: null, locale: 'en', timezone: null },
  event: { id: 'e', type: 'a.b', source: 's', subject: null, time: null },
})
const render = (title: string, data: unknown) =>
  compileWorkflow({ ...GOOD, content: { title }, steps: ['inbox'] }, { version: 1 }).texts.render(
    scope(data),
    'en',
  ).title

t.test('a text that would take for ever is stopped', async (t) => {
  const bomb = '{% for a in (1..9999) %}{% for b in (1..9999) %}x{% endfor %}{% endfor %}'
  t.throws(() => render(bomb, {}), { name: 'RenderError', code: 'LIMIT' })
})

t.test('large data costs no more than what a text shows of it', async (t) => {
  t.equal(render('{{ data.name }}', { name: 'Ada', big: 'x'.repeat(256 * 1024) }), 'Ada')
  t.throws(() => render('{{ data.big }}', { big: 'x'.repeat(256 * 1024) }), { code: 'LIMIT' })
})

t.test('names of Object.prototype are no variables', async (t) => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    t.throws(() => render(`{{ data.${name} }}`, {}), { code: 'VARIABLE_MISSING' }, name)
  }
  const hostile = JSON.parse('{"__proto__":{"polluted":"yes"},"name":"Ada"}') as unknown
  t.equal(render('{{ data.name }}', hostile), 'Ada')
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})
