import fc from 'fast-check'
import t from 'tap'
import { calendar, eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import {
  type CompiledWorkflow,
  type CountInput,
  counterName,
  countersOf,
  type Facts,
  type Plan,
  settleCounters,
  type TenantCap,
} from './index.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const event = eventOf({ customerId: 'ada', rideId: 'r1' })

/** One person's counters, as a table would hold them. */
function createCounting(tenantCaps: readonly TenantCap[] = []) {
  const counts = new Map<string, number>()
  const judge = (
    workflow: CompiledWorkflow,
    now = NOW,
    facts: Facts = factsOf(),
    more: Partial<CountInput> = {},
    of = event,
  ): Plan => {
    const input = { event: of, workflow, facts, now, calendar }
    const counting = { input, plan: planned(input), tenantCaps, countedBefore: false, ...more }
    const held = new Map(
      countersOf(counting).map((counter) => [counterName(counter), counts.get(counterName(counter)) ?? 0]),
    )
    const settled = settleCounters(counting, held)
    for (const [name, count] of held) counts.set(name, count)
    return settled
  }
  return { judge, counts }
}
const outcomes = (plan: Plan) => plan.steps.map(({ reason, outcome }) => reason ?? outcome)
const went = (plan: Plan) => plan.steps.some(({ outcome, type }) => outcome === 'deliver' && type !== 'inbox')
const arrivals = (longest: number) =>
  fc.array(fc.integer({ min: 0, max: longest }), { minLength: 1, maxLength: 40 })

t.test('a throttle lets so many through in each window, and never more', async (t) => {
  let cases = 0
  const workflows = [1, 2, 5].map((count) => ({
    count,
    workflow: workflowOf({ steps: [{ throttle: { count, per: '10m' } }, 'push'] }),
  }))
  fc.assert(
    fc.property(fc.constantFrom(...workflows), arrivals(4 * MINUTE), ({ count, workflow }, gaps) => {
      cases++
      const { judge } = createCounting()
      const perWindow = new Map<number, { came: number; passed: number }>()
      let now = NOW
      for (const gap of gaps) {
        now += gap
        const window = perWindow.get(Math.floor(now / (10 * MINUTE))) ?? { came: 0, passed: 0 }
        perWindow.set(Math.floor(now / (10 * MINUTE)), window)
        window.came++
        if (went(judge(workflow, now))) window.passed++
      }
      return [...perWindow.values()].every(({ came, passed }) => passed === Math.min(came, count))
    }),
    { numRuns: 500 },
  )
  t.comment(`${cases} cases`)
})

t.test('a throttle', async (t) => {
  const throttle = { throttle: { count: 1, per: '1h' } }
  t.test('ends the run with what stood before it done', async (t) => {
    const { judge } = createCounting()
    const workflow = workflowOf({ steps: ['inbox', throttle, 'push'] })
    t.strictSame(outcomes(judge(workflow)), ['deliver', 'pass', 'deliver'])
    const second = judge(workflow)
    t.strictSame(outcomes(second), ['deliver', 'THROTTLED', 'THROTTLED'])
    t.match(second, { state: 'completed', steps: [{}, { detail: 'the limit of 1 per 1h is used up' }, {}] })
    t.strictSame(outcomes(judge(workflow, NOW + HOUR)), ['deliver', 'pass', 'deliver'])
  })
  t.test('counts by its key', async (t) => {
    const { judge } = createCounting()
    const workflow = workflowOf({
      steps: [{ throttle: { ...throttle.throttle, key: 'data.rideId' } }, 'push'],
    })
    const of = (rideId: unknown) =>
      went(judge(workflow, NOW, factsOf(), {}, eventOf({ customerId: 'ada', rideId })))
    t.strictSame(['r1', 'r2', 'r1', 'r2', 7].map(of), [true, true, false, false, true])
    t.throws(() => of(undefined), { name: 'RenderError', field: 'steps.0.throttle.key' })
  })
  t.test('is counted apart from another one, and only when it is come to', async (t) => {
    const { judge } = createCounting()
    const workflow = workflowOf({ steps: [throttle, 'push', { throttle: { count: 2, per: '1h' } }, 'email'] })
    t.strictSame(outcomes(judge(workflow)), ['pass', 'deliver', 'pass', 'deliver'])
    t.strictSame(outcomes(judge(workflow)), Array(4).fill('THROTTLED'))
    const { judge: other } = createCounting()
    const late = workflowOf({ steps: [{ wait: '1m' }, throttle, 'push'] })
    t.equal(other(late).state, 'waiting')
    t.equal(other(late).throttles, undefined)
  })
  t.test('used up at a digest, it joins none', async (t) => {
    const { judge } = createCounting()
    const workflow = workflowOf({ steps: [throttle, { digest: { window: '1h' } }, 'push'] })
    t.equal(judge(workflow).state, 'digested')
    t.match(judge(workflow), { state: 'skipped', reason: 'THROTTLED', digest: undefined })
  })
})

t.test('a cap lets so many through in each window, and never more', async (t) => {
  let cases = 0
  const workflows = [1, 2, 5].map((count) => ({
    count,
    workflow: workflowOf({ cap: { count, per: '1h' }, steps: ['inbox', 'push'] }),
  }))
  const tenant = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined })
  fc.assert(
    fc.property(
      fc.constantFrom(...workflows),
      tenant,
      arrivals(20 * MINUTE),
      ({ count, workflow }, all, gaps) => {
        cases++
        const { judge } = createCounting(all === undefined ? [] : [{ count: all, per: '1h' }])
        const perWindow = new Map<number, { came: number; passed: number }>()
        let now = NOW
        for (const gap of gaps) {
          now += gap
          const window = perWindow.get(Math.floor(now / HOUR)) ?? { came: 0, passed: 0 }
          perWindow.set(Math.floor(now / HOUR), window)
          window.came++
          const plan = judge(workflow, now)
          if (!plan.inInbox) return false
          if (went(plan)) window.passed++
        }
        return [...perWindow.values()].every(
          ({ came, passed }) => passed === Math.min(came, count, all ?? 99),
        )
      },
    ),
    { numRuns: 500 },
  )
  t.comment(`${cases} cases`)
})

t.test('caps', async (t) => {
  const push = workflowOf({ steps: ['push'] })
  t.test("of everything count across workflows; a workflow's own count alone", async (t) => {
    const { judge } = createCounting([{ count: 3, per: '1h' }])
    const chatty = workflowOf({ key: 'chatty', cap: { count: 1, per: '1h' }, steps: ['push'] })
    t.strictSame(outcomes(judge(chatty)), ['deliver'])
    t.match(judge(chatty).steps[0], {
      reason: 'FREQUENCY_CAPPED',
      detail: /^1 of at most 1 per 1h of this workflow have gone out/,
    })
    t.strictSame(
      [judge(push), judge(push)].map(outcomes),
      [['deliver'], ['deliver']],
      'what was capped was not counted',
    )
    t.match(judge(push).steps[0], {
      reason: 'FREQUENCY_CAPPED',
      detail: /^3 of at most 3 per 1h of everything have gone out/,
    })
  })
  t.test('hold back their channels and no other', async (t) => {
    const { judge } = createCounting([{ count: 1, per: '1h', channels: ['push', 'sms'] }])
    const both = workflowOf({ steps: ['push', 'email'] })
    t.strictSame(outcomes(judge(both)), ['deliver', 'deliver'])
    t.strictSame(outcomes(judge(both)), ['FREQUENCY_CAPPED', 'deliver'])
  })
  t.test('that hold back other channels are not counted by what still goes', async (t) => {
    const { judge, counts } = createCounting([
      { count: 1, per: '1h', channels: ['push'] },
      { count: 9, per: '1h', channels: ['push'] },
      { count: 9, per: '1h', channels: ['email'] },
    ])
    const both = workflowOf({ steps: ['push', 'email'] })
    for (let run = 0; run < 4; run++) judge(both)
    t.strictSame([...counts.values()], [1, 1, 4])
  })
  t.test('count a run once, and only when something goes out', async (t) => {
    const { judge, counts } = createCounting([{ count: 5, per: '1h' }])
    judge(push, NOW, factsOf(), { countedBefore: true })
    judge(push, NOW, factsOf({ devices: [] }))
    judge(workflowOf({}))
    judge(workflowOf({ steps: [{ wait: '1h' }, 'push'] }))
    t.strictSame(
      [...counts.values()].filter((count) => count > 0),
      [],
    )
    judge(workflowOf({ steps: ['push', 'email', { webhook: { url: 'https://a.example/' } }] }))
    t.strictSame([...counts.values()], [1], 'however many channels it goes through')
  })
  t.test('leave critical categories alone, and do not count them', async (t) => {
    const { judge, counts } = createCounting([{ count: 1, per: '1h' }])
    const facts = factsOf({ category: { key: 'alarm', name: 'Alarm', critical: true, defaults: {} } })
    const alarm = workflowOf({ category: 'alarm', cap: { count: 1, per: '1h' }, steps: ['push'] })
    for (let run = 0; run < 3; run++) t.strictSame(outcomes(judge(alarm, NOW, facts)), ['deliver'])
    t.equal(counts.size, 0)
  })
  t.test('show in the inbox what they hold back, with the texts of the step', async (t) => {
    const { judge } = createCounting()
    const own = workflowOf({
      content: {},
      cap: { count: 1, per: '1h' },
      steps: [{ push: { content: { title: 'Only here' } } }],
    })
    judge(own)
    t.match(judge(own), { state: 'completed', inInbox: true, content: { inbox: { title: 'Only here' } } })
    const off = factsOf({ preferences: [{ category: null, channel: 'inbox', enabled: false }] })
    t.match(judge(own, NOW, off), {
      state: 'skipped',
      reason: 'FREQUENCY_CAPPED',
      inInbox: false,
      content: {},
    })
  })
  t.test('show it by what the preferences say of this event', async (t) => {
    const capped = workflowOf({ cap: { count: 1, per: '1h' }, if: 'data.rideId == "r1"', steps: ['push'] })
    const holds = capped.condition as NonNullable<typeof capped.condition>
    const only = (enabled: boolean) =>
      factsOf({
        preferences: [{ category: null, channel: 'inbox', enabled, condition: { text: 'r1', holds } }],
      })
    const { judge } = createCounting()
    judge(capped)
    t.equal(judge(capped, NOW, only(false)).inInbox, false)
    const other = eventOf({ customerId: 'ada', rideId: 'r2' })
    t.equal(judge(capped, NOW, only(false), {}, other).inInbox, true)
    t.equal(judge(capped, NOW, only(true), {}, other).inInbox, false)
  })
})

t.test("a day is the person's own", async (t) => {
  const windows = (timezone: string | null, now: string) => {
    const facts = factsOf({ user: { timezone }, tenantTimezone: 'Asia/Tokyo' })
    const input = {
      event,
      workflow: workflowOf({ cap: { count: 1, per: '1d' }, steps: ['push'] }),
      facts,
      now: Date.parse(now),
      calendar,
    }
    return countersOf({ input, plan: planned(input), tenantCaps: [], countedBefore: false }).map(
      ({ windowStart, windowEnd }) => [
        new Date(windowStart).toISOString(),
        windowEnd >= windowStart + DAY + HOUR,
      ],
    )
  }
  t.strictSame(windows('Europe/Vienna', '2026-11-21T22:59Z'), [['2026-11-20T23:00:00.000Z', true]])
  t.strictSame(windows('Europe/Vienna', '2026-11-21T23:00Z'), [['2026-11-21T23:00:00.000Z', true]])
  t.strictSame(
    windows('Europe/Vienna', '2026-10-25T22:59Z'),
    [['2026-10-24T22:00:00.000Z', true]],
    'of 25 hours',
  )
  t.strictSame(windows('America/New_York', '2026-11-21T04:00Z'), [['2026-11-20T05:00:00.000Z', true]])
  t.strictSame(windows(null, '2026-11-21T16:00Z'), [['2026-11-21T15:00:00.000Z', true]], "the tenant's")
})
