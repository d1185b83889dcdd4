import fc from 'fast-check'
import t from 'tap'
import { anySteps } from './fixtures/any-workflow.js'
import { compileWorkflow, createWorkflowValidator } from './index.js'

const validate = createWorkflowValidator()
const GOOD = { key: 'w', on: 'a.b', to: 'data.who', content: { title: 'Hello' } }
const problemsOf = (part: object) => {
  const result = validate({ ...GOOD, steps: ['inbox'], ...part })
  return result.ok ? [] : result.problems
}
const inBranch = (step: unknown) => ({ branch: { if: 'data.a', then: ['inbox'], else: ['inbox', step] } })
const inCohort = (step: unknown) => ({
  experiment: {
    cohorts: [
      { name: 'a', share: 1 },
      { name: 'b', share: 1, steps: [step] },
    ],
  },
})

t.test('every step is accepted as the design writes it', async (t) => {
  for (const step of [
    'sms',
    { wait: '365d' },
    { wait: { for: '1h' } },
    { wait: { until: 'data.when' } },
    { wait: { at: '09:00', days: ['mon'] } },
    { wait: { event: 'x.y', key: 'data.id', eventKey: 'data.rideId', for: '1h' } },
    { wait: { seen: true, for: '10m' } },
    { digest: { window: '10m', key: 'data.id', maxItems: 1000, flushFirst: true } },
    { digest: { sliding: '5m', atMost: '1h' } },
    { digest: { at: '09:00', days: ['mon', 'tue'] } },
    { throttle: { count: 3, per: '1h', key: 'data.id' } },
    { cancel: { workflow: 'other', key: 'data.id' } },
    inBranch({ wait: '1m' }),
    inCohort('push'),
  ])
    t.strictSame(problemsOf({ steps: [step, 'push'] }), [], JSON.stringify(step))
})

const long = { wait: '366d' }
const deep = (depth: number): unknown =>
  depth === 0 ? 'push' : { branch: { if: 'true', then: [deep(depth - 1)] } }

const WRONG: readonly [why: string, part: object, path: string][] = [
  ['a step that nobody knows', { steps: ['pigeon'] }, 'steps.0'],
  ['a step with two names', { steps: [{ push: {}, email: {} }] }, 'steps.0'],
  ['a step that nobody knows, in a branch', { steps: [inBranch('pigeon')] }, 'steps.0.branch.else.1'],
  [
    'a step that nobody knows, in a cohort',
    { steps: ['inbox', inCohort({ fly: {} })] },
    'steps.1.experiment.cohorts.1.steps.0',
  ],
  [
    'an option that nobody knows, in a branch',
    { steps: [inBranch({ push: { loud: true } })] },
    'steps.0.branch.else.1.push.loud',
  ],
  [
    'the innermost wrong step',
    { steps: [inBranch(inCohort(inBranch({ wait: 'soon' })))] },
    'steps.0.branch.else.1.experiment.cohorts.1.steps.0.branch.else.1.wait',
  ],
  ['a branch without steps', { steps: [{ branch: { if: 'true', then: [] } }] }, 'steps.0.branch'],
  ['a wait over the limit', { steps: [long, 'push'] }, 'steps.0.wait'],
  ['a wait over the limit, in a branch', { steps: [inBranch(long)] }, 'steps.0.branch.else.1.wait'],
  [
    'a wait for an event over the limit',
    { steps: [{ wait: { event: 'x.y', for: '366d' } }, 'push'] },
    'steps.0.wait.for',
  ],
  [
    'a wait that is seen over the limit',
    { steps: [{ wait: { seen: true, for: '366d' } }, 'push'] },
    'steps.0.wait.for',
  ],
  ['a wait of no time', { steps: [{ wait: '0s' }, 'push'] }, 'steps.0.wait'],
  ['a wait to no time of day', { steps: [{ wait: { at: '24:00' } }, 'push'] }, 'steps.0.wait'],
  ['a wait for any event', { steps: [{ wait: { event: 'x.*', for: '1h' } }, 'push'] }, 'steps.0.wait.event'],
  [
    'a wait for its own beginning',
    { steps: [{ wait: { event: 'a.b', for: '1h' } }, 'push'] },
    'steps.0.wait.key',
  ],
  ['bad CEL in a wait', { steps: [{ wait: { until: 'data.' } }, 'push'] }, 'steps.0.wait.until'],
  [
    'bad CEL in a key',
    { steps: [{ wait: { event: 'x.y', key: 'data.', for: '1h' } }, 'push'] },
    'steps.0.wait.key',
  ],
  [
    "bad CEL in an event's key",
    { steps: [{ wait: { event: 'x.y', key: 'data.a', eventKey: 'run.seen', for: '1h' } }, 'push'] },
    'steps.0.wait.eventKey',
  ],
  ['a digest over the limit', { steps: [{ digest: { window: '366d' } }, 'push'] }, 'steps.0.digest.window'],
  ['a digest of one', { steps: [{ digest: { window: '1h', maxItems: 1 } }, 'push'] }, 'steps.0.digest'],
  [
    'a digest that closes before it slides',
    { steps: [{ digest: { sliding: '1h', atMost: '1m' } }, 'push'] },
    'steps.0.digest.atMost',
  ],
  [
    'bad CEL in a digest',
    { steps: [{ digest: { window: '1h', key: 'dada.a' } }, 'push'] },
    'steps.0.digest.key',
  ],
  ['a digest that nothing follows', { steps: ['inbox', { digest: { window: '1h' } }] }, 'steps.1'],
  [
    'a throttle over the limit',
    { steps: [{ throttle: { count: 1, per: '366d' } }, 'push'] },
    'steps.0.throttle.per',
  ],
  ['a throttle of none', { steps: [{ throttle: { count: 0, per: '1h' } }, 'push'] }, 'steps.0.throttle'],
  [
    'bad CEL in a throttle',
    { steps: [{ throttle: { count: 1, per: '1h', key: '(' } }, 'push'] },
    'steps.0.throttle.key',
  ],
  [
    'bad CEL in a branch in a branch',
    { steps: [inBranch({ branch: { if: 'dada', then: ['push'] } })] },
    'steps.0.branch.else.1.branch.if',
  ],
  ['a cancel of itself', { steps: [{ cancel: { workflow: 'w', key: '"a"' } }] }, 'steps.0.cancel.workflow'],
  ['bad CEL in a cancel', { steps: [{ cancel: { workflow: 'x', key: 'data.' } }] }, 'steps.0.cancel.key'],
  [
    'shares over a hundred',
    {
      steps: [
        {
          experiment: {
            cohorts: [
              { name: 'a', share: 60 },
              { name: 'b', share: 60 },
            ],
          },
        },
      ],
    },
    'steps.0.experiment.cohorts',
  ],
  [
    'two cohorts of one name',
    {
      steps: [
        {
          experiment: {
            cohorts: [
              { name: 'a', share: 1 },
              { name: 'a', share: 1 },
            ],
          },
        },
      ],
    },
    'steps.0.experiment.cohorts',
  ],
  [
    'a step after it has expired, over digests',
    { expires: '1h', steps: [{ digest: { window: '30m' } }, { wait: '30m' }, 'push'] },
    'steps.2',
  ],
  [
    'a step after it has expired, in a branch',
    { expires: '1h', steps: [{ wait: '1h' }, inBranch('push')] },
    'steps.1.branch.else.1',
  ],
  [
    'a step after both parts of a branch',
    {
      expires: '1h',
      steps: [{ branch: { if: 'true', then: [{ wait: '2h' }], else: [{ wait: '1h' }] } }, 'push'],
    },
    'steps.1',
  ],
  [
    'nothing to say, in a cohort',
    { content: undefined, steps: [inCohort('sms')] },
    'steps.0.experiment.cohorts.1.steps.0.sms',
  ],
  [
    'a webhook without https, in a branch',
    { steps: [inBranch({ webhook: { url: 'http://a.example/' } })] },
    'steps.0.branch.else.1.webhook.url',
  ],
  [
    'bad Liquid, in a branch',
    { steps: [inBranch({ sms: { content: { body: '{{ x' } } })] },
    'steps.0.branch.else.1.sms.content.body',
  ],
  [
    'steps too deep in one another',
    { steps: [deep(6)] },
    'steps.0.branch.then.0.branch.then.0.branch.then.0.branch.then.0.branch.then.0.branch.then.0',
  ],
  [
    'too many steps in all',
    { steps: Array(5).fill({ branch: { if: 'true', then: Array(45).fill('push') } }) },
    'steps',
  ],
  ['too many steps in one list', { steps: Array(51).fill('push') }, 'steps'],
  ['an event of its own', { on: 'carillon.run.completed' }, 'on'],
  ['bad CEL in a segment', { to: { segment: 'user.attributes.' } }, 'to.segment'],
  ['bad CEL in who is left out', { exclude: 'user.id' }, 'exclude'],
  ['a topic that is none', { to: { topic: 'city.*' } }, 'to'],
]

t.test('every mistake is refused with its place, what it is and what to do', async (t) => {
  for (const [why, part, path] of WRONG) {
    const problems = problemsOf(part)
    const paths = problems.map((problem) => problem.path)
    t.ok(paths.includes(path), `${why}: ${path}, and not ${paths.join(', ')}`)
    t.ok(
      problems.every(({ message, remedy }) => message !== '' && remedy !== ''),
      `${why}: what to do`,
    )
  }
})

t.test('mistakes in several nested steps are told at once, each in its place', async (t) => {
  const problems = problemsOf({
    if: 'data.',
    steps: [inBranch(long), inCohort({ push: { if: 'dada' } }), long, 'push'],
  })
  t.strictSame(problems.map(({ path }) => path).sort(), [
    'if',
    'steps.0.branch.else.1.wait',
    'steps.1.experiment.cohorts.1.steps.0.push.if',
    'steps.2.wait',
  ])
})

t.test('a step that may come in time is no mistake', async (t) => {
  const fast = { branch: { if: 'true', then: [{ wait: '2h' }], else: ['push'] } }
  for (const steps of [
    [fast, 'push'],
    [{ wait: { event: 'x.y', for: '2h' } }, 'push'],
    [{ digest: { window: '2h', flushFirst: true } }, 'push'],
  ])
    t.strictSame(problemsOf({ expires: '1h', steps }), [], JSON.stringify(steps))
  t.strictSame(problemsOf({ steps: [deep(5)] }), [])
})

const json = (one: unknown): unknown => JSON.parse(JSON.stringify(one) ?? 'null')

t.test('anything at all is answered and never crashes; what is accepted compiles', async (t) => {
  const counts = { cases: 0, accepted: 0 }
  const answers = (input: unknown): boolean => {
    counts.cases++
    const result = validate(input)
    if (!result.ok)
      return (
        result.problems.length > 0 &&
        result.problems.every(({ path, message }) => path !== '' && message !== '')
      )
    counts.accepted++
    return compileWorkflow(result.definition, { version: 1 }).steps.length > 0
  }
  fc.assert(fc.property(fc.jsonValue(), answers), { numRuns: 300 })
  const field = fc.constantFrom(
    'on',
    'to',
    'if',
    'exclude',
    'lane',
    'expires',
    'cap',
    'content',
    'locales',
    'steps',
    'name',
    'category',
  )
  fc.assert(
    fc.property(field, fc.jsonValue(), (name, value) =>
      answers(json({ ...GOOD, steps: ['inbox'], [name]: value })),
    ),
    { numRuns: 500 },
  )
  const option = fc.constantFrom(
    'push',
    'email',
    'webhook',
    'wait',
    'digest',
    'throttle',
    'branch',
    'experiment',
    'cancel',
  )
  const keys = fc.constantFrom(
    'if',
    'then',
    'else',
    'cohorts',
    'window',
    'at',
    'for',
    'key',
    'count',
    'content',
    'until',
    'event',
  )
  const written = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(
      keys,
      fc.oneof(fc.jsonValue(), fc.constantFrom('1h', 'data.a', '09:00', ['push'], [{}], [null])),
    ),
  )
  fc.assert(
    fc.property(option, written, (name, value) =>
      answers(json({ ...GOOD, steps: ['inbox', { [name]: value }, 'push'] })),
    ),
    { numRuns: 700 },
  )
  fc.assert(
    fc.property(anySteps, (steps) => answers({ ...GOOD, steps: [...steps, 'push'] })),
    { numRuns: 200 },
  )
  t.ok(counts.accepted > 100)
  t.comment(`${counts.cases} cases, ${counts.accepted} accepted`)
})
