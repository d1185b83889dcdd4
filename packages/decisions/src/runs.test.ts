import fc from 'fast-check'
import t from 'tap'
import { anyFacts, anyWorkflow, EVENT } from './fixtures/any-workflow.js'
import { capped, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import type { CompiledWorkflow, DigestItem, Facts, Plan } from './index.js'

const channels = new Set(['inbox', 'push', 'email', 'sms', 'webhook'])
const runs = (count: number) => ({ numRuns: count })

t.test('the same input gives the same bytes', async (t) => {
  let cases = 0
  fc.assert(
    fc.property(anyWorkflow, anyFacts, (workflow, facts) => {
      cases++
      const judge = () => JSON.stringify(planned({ event: EVENT, workflow, facts }))
      const [first, second] = [judge(), judge()]
      return first === second
    }),
    runs(1_000),
  )
  t.comment(`${cases} cases`)
})

t.test('every step that was come to is told once, and no skip or hold is without its reason', async (t) => {
  const seen: Record<string, number> = {}
  fc.assert(
    fc.property(anyWorkflow, anyFacts, (workflow, facts) => {
      const plan = planned({ event: EVENT, workflow, facts })
      const places = plan.steps.map(({ step }) => step)
      for (const { type, outcome } of plan.steps)
        seen[`${type} ${outcome}`] = (seen[`${type} ${outcome}`] ?? 0) + 1
      return (
        places.every((place, index) => index === 0 || place > (places[index - 1] as number)) &&
        plan.steps.every(
          ({ step, type, outcome, reason, detail, at }) =>
            workflow.steps[step]?.type === type &&
            detail !== '' &&
            (reason !== undefined) === ['skip', 'hold', 'digest'].includes(outcome) &&
            (at !== undefined) === ['wait', 'hold'].includes(outcome),
        ) &&
        (plan.reason !== undefined) === ['skipped', 'cancelled', 'digested'].includes(plan.state)
      )
    }),
    runs(1_500),
  )
  const outcomes = ['deliver', 'skip'].flatMap((outcome) => [...channels].map((type) => `${type} ${outcome}`))
  const others = [
    'wait wait',
    'wait pass',
    'digest digest',
    'throttle pass',
    'cancel pass',
    'branch pass',
    'experiment pass',
    'push hold',
  ]
  t.strictSame(
    [...outcomes, ...others].filter((one) => seen[one] === undefined),
    [],
    'each outcome was among them',
  )
  t.comment(`1500 cases, ${Object.values(seen).reduce((sum, one) => sum + one, 0)} steps`)
})

t.test('a run is woken for what is due first', async (t) => {
  let waiting = 0
  fc.assert(
    fc.property(anyWorkflow, anyFacts, (workflow, facts) => {
      const plan = planned({ event: EVENT, workflow, facts })
      const { state, wakeAt, resumeAt, nextStep, held = [] } = plan
      if (state !== 'waiting')
        return wakeAt === undefined && resumeAt === undefined && nextStep === undefined && held.length === 0
      waiting++
      const due = [...held.map(({ at }) => at), ...(resumeAt === undefined ? [] : [resumeAt])]
      return (
        wakeAt === Math.min(...due) && wakeAt > NOW && (resumeAt === undefined) === (nextStep === undefined)
      )
    }),
    runs(1_000),
  )
  t.ok(waiting > 100)
  t.comment(`1000 cases, ${waiting} of them wait`)
})

/** Drives a run as the waker does, also when nothing is due, until it ends; a digest closes and its run goes on. */
function drive(
  workflow: CompiledWorkflow,
  facts: Facts,
  early: boolean,
): { passes: Plan[]; delivered: number[] } {
  const passes: Plan[] = []
  const delivered: number[] = []
  const judge = (now: number, more: object, known: Facts): Plan => {
    const plan = planned({ event: EVENT, workflow, facts: known, now, begunAt: NOW, ...more })
    passes.push(plan)
    delivered.push(...plan.steps.filter(({ outcome }) => outcome === 'deliver').map(({ step }) => step))
    return plan
  }
  const goOn = (begun: Plan, known: Facts) => {
    let plan = begun
    while (plan.state === 'waiting') {
      if (passes.length > 300) throw new Error('it goes on for ever')
      const more = { fromStep: plan.nextStep ?? null, resumeAt: plan.resumeAt ?? null, held: plan.held ?? [] }
      const due = plan.wakeAt as number
      const before = passes.length
      if (early && known.awaited === undefined && known.seenAt === null && due <= (plan.expiresAt ?? due)) {
        const same = judge(due - 1, more, known)
        if (same.state !== 'waiting' || same.wakeAt !== due || same.steps.length > 0)
          throw new Error('woken early it must keep waiting')
        passes.length = before
      }
      // the digest that this pass joined goes on by itself
      if (plan.digest !== undefined) close(plan.digest.step, due, known)
      plan = judge(due, more, known)
    }
    if (plan.digest !== undefined) close(plan.digest.step, plan.at + 600_000, known)
  }
  const close = (step: number, now: number, known: Facts) => {
    const item: DigestItem = {
      run: 'r',
      event: { id: 'e1', type: EVENT.type, source: '/', subject: null, time: null },
      data: EVENT.data,
    }
    const digested = { ...known, digest: { key: '', items: [item, item] } }
    goOn(judge(now, { fromStep: step + 1 }, digested), digested)
  }
  goOn(judge(NOW, {}, facts), facts)
  return { passes, delivered }
}

t.test('a run always ends, and delivers no step twice', async (t) => {
  let passes = 0
  let most = 0
  fc.assert(
    fc.property(anyWorkflow, anyFacts, fc.boolean(), (workflow, facts, early) => {
      const run = drive(workflow, facts, early)
      passes += run.passes.length
      most = Math.max(most, run.passes.length)
      const pauses = workflow.steps.length
      return run.passes.length <= 1 + 2 * pauses && new Set(run.delivered).size === run.delivered.length
    }),
    runs(1_000),
  )
  t.ok(most > 3)
  t.comment(`1000 cases, ${passes} passes, at most ${most} in one run`)
})

const refusals: readonly [reason: string, apply: (facts: Facts) => Facts][] = [
  ['NO_RECIPIENT', (facts) => ({ ...facts, user: { ...facts.user, status: 'suspended' } })],
  ['CANCELLED', (facts) => ({ ...facts, cancelledAt: NOW - 1 })],
  ['EXPIRED', (facts) => facts],
  ['CONDITION_FALSE', (facts) => facts],
  [
    'UNSUBSCRIBED',
    (facts) => ({ ...facts, preferences: [{ category: 'rides', channel: null, enabled: false }] }),
  ],
  [
    'OPT_IN_REQUIRED',
    (facts) => ({ ...facts, tenantDefaults: [{ category: null, channel: 'push', enabled: false }] }),
  ],
  ['ALREADY_SEEN', (facts) => ({ ...facts, seenAt: NOW - 1 })],
  ['ONLINE', (facts) => ({ ...facts, online: true })],
  ['FREQUENCY_CAPPED', (facts) => ({ ...facts, used: capped() })],
  [
    'QUIET_HOURS',
    (facts) => ({
      ...facts,
      quietHours: { windows: [{ from: '00:00', to: '00:00' }], channels: ['push'], by: 'person' },
    }),
  ],
  ['NO_ADDRESS', (facts) => ({ ...facts, devices: [] })],
]

t.test('where several refusals hold, the first in the order of judgement is the reason', async (t) => {
  const of = (step: object | string, expires: string) =>
    workflowOf({ category: 'rides', stop: 'seen', expires, steps: [step] })
  const compiled = new Map(
    [false, true].map((on) => [
      on,
      of({ push: { unlessOnline: true, ...(on ? { if: 'false' } : {}) } }, '30d'),
    ]),
  )
  let cases = 0
  for (let mask = 0; mask < 2 ** refusals.length; mask++) {
    cases++
    const holding = refusals.filter((_, bit) => (mask >> bit) % 2 === 1)
    const names = holding.map(([reason]) => reason)
    const facts = holding.reduce((known, [, apply]) => apply(known), factsOf())
    const workflow = compiled.get(names.includes('CONDITION_FALSE')) as CompiledWorkflow
    const begunAt = names.includes('EXPIRED') ? NOW - 30 * 86_400_000 : NOW
    const [step] = planned({ event: EVENT, workflow, facts, begunAt }).steps
    if (step?.reason !== names[0]) t.equal(step?.reason, names[0], names.join(' + '))
  }
  t.equal(cases, 2048)
  t.comment(`${cases} combinations, all there are`)
})
