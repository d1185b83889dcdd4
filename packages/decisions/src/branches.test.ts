import fc from 'fast-check'
import t from 'tap'
import { anySteps, EVENT } from './fixtures/any-workflow.js'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { compileWorkflow, everyStep, type Facts, type Plan, placeIn } from './index.js'

const judged = (
  steps: unknown[],
  data: object = {},
  facts: Facts = factsOf({ user: { phone: '+43' } }),
): Plan => planned({ event: eventOf({ customerId: 'ada', ...data }), workflow: workflowOf({ steps }), facts })
const types = (plan: Plan) => plan.steps.map(({ type }) => type)

t.test('a branch', async (t) => {
  const branch = { branch: { if: 'data.n > 1', then: ['push', 'sms'], else: ['email'] } }
  t.test('leads to one of its parts and then to what comes after it', async (t) => {
    t.strictSame(types(judged([branch, 'inbox'], { n: 2 })), ['branch', 'push', 'sms', 'inbox'])
    t.strictSame(types(judged([branch, 'inbox'], { n: 1 })), ['branch', 'email', 'inbox'])
    const { else: _, ...only } = branch.branch
    t.strictSame(types(judged([{ branch: only }, 'inbox'], { n: 1 })), ['branch', 'inbox'])
  })
  t.test('says what its condition was', async (t) => {
    const detail = (data: object) => judged([branch], data).steps[0]?.detail
    t.equal(detail({ n: 2 }), 'data.n > 1 is true')
    t.equal(detail({ n: 1 }), 'data.n > 1 is false')
    t.equal(detail({}), 'data.n > 1 could not be judged: No such key: n')
    t.equal(
      judged([{ branch: { ...branch.branch, if: 'data.n' } }], { n: 2 }).steps[0]?.detail,
      'data.n gives neither true nor false',
    )
  })
  t.test('sees the person and the run', async (t) => {
    const steps = (text: string) =>
      types(judged([{ branch: { if: text, then: ['push'], else: ['email'] } }])).slice(1)
    for (const text of [
      'user.id == "ada"',
      '"customer" in user.roles',
      'user.locale == "en-GB"',
      'run.woken == null',
      'run.count == 1',
      '!run.seen',
    ])
      t.strictSame(steps(text), ['push'], text)
  })
  t.test('that leads past every channel ends with a reason', async (t) => {
    const steps = [{ branch: { if: 'false', then: ['push'] } }]
    t.match(judged(steps), { state: 'skipped', reason: 'CONDITION_FALSE', steps: [{ outcome: 'pass' }] })
  })
  t.test('stands in another one, and waits inside go on inside', async (t) => {
    const inner = { branch: { if: 'data.b', then: [{ wait: '1m' }, 'push'], else: ['sms'] } }
    const workflow = workflowOf({
      steps: [{ branch: { if: 'data.a', then: [inner, 'email'], else: ['inbox'] } }],
    })
    const event = eventOf({ customerId: 'ada', a: true, b: true })
    const first = planned({ event, workflow, facts: factsOf() })
    t.match(first, { state: 'waiting' })
    t.strictSame(types(first), ['branch', 'branch', 'wait'])
    const { nextStep = 0, resumeAt = 0 } = first
    const second = planned({
      event,
      workflow,
      facts: factsOf(),
      now: resumeAt,
      begunAt: NOW,
      fromStep: nextStep,
      resumeAt,
    })
    t.strictSame(types(second), ['push', 'email'])
    t.strictSame(types(judged([inner, 'email'], { b: false })), ['branch', 'sms', 'email'])
  })
})

t.test('an experiment', async (t) => {
  const cohorts = [
    { name: 'loud', share: 30, steps: ['push'] },
    { name: 'quiet', share: 20 },
  ]
  const cohortOf = (id: string, experiment: object = { cohorts }) =>
    judged([{ experiment }, 'email'], {}, factsOf({ user: { id } }))
  t.test('leads each person to the steps of one cohort, or past all of them', async (t) => {
    const seen = new Map<string, number>()
    for (let id = 0; id < 300; id++) {
      const plan = cohortOf(`u${id}`)
      const detail = plan.steps[0]?.detail as string
      seen.set(detail, (seen.get(detail) ?? 0) + 1)
      t.strictSame(types(plan).slice(1), detail.includes('loud') ? ['push', 'email'] : ['email'])
      t.strictSame(cohortOf(`u${id}`), plan, 'always the same')
    }
    t.strictSame([...seen.keys()].sort(), ['in no cohort', 'in the cohort "loud"', 'in the cohort "quiet"'])
    t.ok(Math.abs((seen.get('in the cohort "loud"') ?? 0) - 90) < 40)
  })
  t.test('is placed by its own key, else by where it stands', async (t) => {
    const place = placeIn('ride-accepted/colour', 'u1')
    const share = Math.ceil(place)
    t.equal(
      cohortOf('u1', { key: 'colour', cohorts: [{ name: 'in', share: Math.min(100, share + 1) }] }).steps[0]
        ?.detail,
      'in the cohort "in"',
    )
    t.equal(
      cohortOf('u1', { key: 'colour', cohorts: [{ name: 'in', share: Math.max(1, share - 1) }] }).steps[0]
        ?.detail,
      'in no cohort',
    )
  })
})

t.test('steps are laid flat: every written step has one place, and jumps lead forward', async (t) => {
  let cases = 0
  fc.assert(
    fc.property(anySteps, (steps) => {
      cases++
      const written = { key: 'w', on: EVENT.type, to: 'data.customerId', content: { title: 'x' }, steps }
      const flat = compileWorkflow(written, { version: 1 }).steps
      const forward = flat.every((step, index) => {
        if (step.type === 'jump') return step.to > index && step.to <= flat.length
        if (step.type === 'branch' || step.type === 'experiment')
          return step.otherwise > index && step.otherwise <= flat.length
        return true
      })
      const paths = flat.filter(({ type }) => type !== 'jump').map(({ path }) => path)
      return (
        forward && JSON.stringify(paths) === JSON.stringify([...everyStep(steps)].map(({ path }) => path))
      )
    }),
    { numRuns: 500 },
  )
  t.comment(`${cases} cases`)
})
