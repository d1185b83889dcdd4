import t from 'tap'
import { compileWorkflow } from './compile.js'
import { templatesOf } from './templates.js'
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
  ['nothing but blanks to say', { content: { title: ' ', body: '' } }, /steps\.0/],
  ['a wait that nothing follows', { steps: ['inbox', { wait: '1m' }] }, /^steps\.1$/],
  ['an expiry beyond any date', { expires: '999999999d' }, /^expires$/],
  ['a cap over more than a year', { cap: { count: 1, per: '366d' } }, /^cap\.per$/],
  ['a pattern that fits no type', { on: ['a.b', 'rides.*.paid'] }, /^on$/],
  ['a locale that is none', { locales: { de_AT: { title: 'x' } } }, /^locales\.de_AT$/],
  ['bad Liquid in a locale', { locales: { de: { title: '{% if %}' } } }, /^locales\.de\.title$/],
  ['a name that texts never see', { content: { title: '{{ driver }}' } }, /^content\.title$/],
  ['a filter that asks chance', { content: { title: '{{ data.a | sample }}' } }, /^content\.title$/],
  ['a regular expression', { if: 'data.a.matches("a+")' }, /^if$/],
  ['bad CEL in a late step', { steps: ['inbox', 'push', { push: { if: 'data.' } }] }, /^steps\.2\.push\.if$/],
  ['what can not be stored', { name: 'a\u0000b' }, /^name$/],
  ['another form of on and to', { on: [], to: { group: 'a' } }, /^(on|to)$/],
  ['a lane that nobody knows', { lane: 'fast' }, /^lane$/],
  ['a field of content that nobody knows', { content: { titel: 'x' } }, /^content\.titel$/],
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

t.test('anything at all is answered', async (t) => {
  for (const input of [
    null,
    undefined,
    7,
    'key: w',
    [],
    {},
    { ...GOOD, steps: null },
    { ...GOOD, locales: [] },
  ]) {
    const result = validate(input)
    t.ok(!result.ok && result.problems.length > 0, JSON.stringify(input))
  }
})

const known = (key: string) => templatesOf([{ key, kind: 'content', locales: {} }])

t.test('templates are known by name when it is said which there are', async (t) => {
  const input = { ...GOOD, steps: [{ email: { template: 'mail' } }] }
  t.ok(validate(input).ok)
  t.ok(validate(input, { templates: known('mail') }).ok)
  t.match(validate(input, { templates: known('post') }), {
    ok: false,
    problems: [{ path: 'steps.0.email.template', remedy: 'Create it first, or use one of post.' }],
  })
})

t.test('texts see their templates when it is said which there are', async (t) => {
  const templates = templatesOf([
    { key: 'hi', kind: 'partial', locales: { default: { text: 'Hi {{ name }}' } } },
    { key: 'frame', kind: 'layout', locales: { default: { html: '<p>{{ content }}</p>' } } },
  ])
  const problems = (part: object) => {
    const result = validate({ ...GOOD, ...part }, { templates })
    return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`)
  }
  const content = (title: string) => ({ content: { title } })
  t.strictSame(problems(content("{% render 'hi', name: data.name %}")), [])
  t.match(problems(content("{% render 'hi' %}")), [/^content\.title: .*without name/])
  t.match(problems(content("{% render 'ho' %}")), [/^content\.title: .*no partial "ho"/])
  t.ok(validate({ ...GOOD, ...content("{% render 'ho' %}") }).ok, 'not known which there are')
  const mail = (layout: string) => ({ steps: [{ email: { content: { body: 'x', layout } } }] })
  t.strictSame(problems(mail('frame')), [])
  t.match(problems(mail('door')), [/^steps\.0\.email\.content\.html: .*no layout "door"/])
})

t.test('messages are known to every text of a workflow', async (t) => {
  const messages = { rides: '{count, plural, one {# ride} other {# rides}}' }
  const title = '{{ "rides" | t: count: data.count }}'
  const workflow = (part: object) => validate({ ...GOOD, content: { title: 'x', messages }, ...part })
  t.match(workflow({ locales: { de: { title } }, steps: [{ push: { content: { title } } }] }), { ok: true })
  t.match(workflow({ locales: { de: { messages: { rides: '{n}' } } }, content: { title, messages } }), {
    ok: false,
    problems: [{ path: 'content.title', message: /needs n/ }],
  })
  t.match(workflow({ content: { title, messages: { rides: '{count' } } }), {
    ok: false,
    problems: [{ path: 'content.messages.rides' }],
  })
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
