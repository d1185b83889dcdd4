import fc from 'fast-check'
import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { cancelKeyOf, isCancelledBy, placeIn } from './index.js'

const MINUTE = 60_000
const iso = (at: number) => new Date(at).toISOString()
const moment = fc.integer({ min: NOW - 60 * MINUTE, max: NOW + 60 * MINUTE })

t.test('a cancel can not be overtaken by what it cancels', async (t) => {
  let cases = 0
  fc.assert(
    fc.property(moment, moment, fc.integer({ min: 0, max: 60 * MINUTE }), (happened, cancelledAt, delay) => {
      cases++
      const run = { firstSeenMs: happened + delay, time: iso(happened) }
      const expected = happened <= cancelledAt || run.firstSeenMs <= cancelledAt
      return isCancelledBy(cancelledAt, run) === expected
    }),
    { numRuns: 2_000 },
  )
  t.comment(`${cases} cases`)
})

t.test('a later cancel cancels whatever an earlier one does', async (t) => {
  let cases = 0
  const time = fc.oneof(
    moment.map(iso),
    fc.string(),
    fc.constantFrom(null, undefined, '', 'soon', '9999-12-31T00:00:00Z'),
  )
  fc.assert(
    fc.property(moment, moment, moment, time, (one, other, firstSeenMs, time) => {
      cases++
      const [earlier, later] = [Math.min(one, other), Math.max(one, other)]
      return !isCancelledBy(earlier, { firstSeenMs, time }) || isCancelledBy(later, { firstSeenMs, time })
    }),
    { numRuns: 1_000 },
  )
  t.comment(`${cases} cases`)
})

t.test('without a time that says something, a cancel holds for ten minutes', async (t) => {
  for (const time of [null, undefined, '', 'yesterday', '2026-99-99', iso(NOW + 60 * MINUTE)]) {
    t.ok(isCancelledBy(NOW - 10 * MINUTE, { firstSeenMs: NOW, time }), String(time))
    t.notOk(isCancelledBy(NOW - 10 * MINUTE - 1, { firstSeenMs: NOW, time }), String(time))
  }
  t.notOk(
    isCancelledBy(NOW - 1, { firstSeenMs: NOW, time: iso(NOW + 5 * MINUTE) }),
    "a publisher's clock ahead",
  )
})

t.test('a run tells the key by which it is cancelled, and others by theirs', async (t) => {
  const workflow = workflowOf({ cancelKey: 'data.rideId' })
  const event = eventOf({ customerId: 'ada', rideId: 'r1' })
  t.equal(planned({ event, workflow, facts: factsOf() }).cancelKey, 'r1')
  t.equal(cancelKeyOf(eventOf({ rideId: 7 }), workflow), '7')
  for (const rideId of ['', null, {}, []]) t.equal(cancelKeyOf(eventOf({ rideId }), workflow), undefined)
  t.equal(cancelKeyOf(event, workflowOf({})), undefined)
  const cancels = workflowOf({ steps: [{ cancel: { workflow: 'ride-late', key: 'data.rideId' } }] })
  t.match(planned({ event, workflow: cancels, facts: factsOf() }), {
    state: 'completed',
    cancels: [{ workflow: 'ride-late', key: 'r1' }],
    steps: [{ type: 'cancel', outcome: 'pass', detail: 'cancels "ride-late" with the key "r1"' }],
  })
  t.throws(() => planned({ event: eventOf({}), workflow: cancels, facts: factsOf() }), {
    name: 'RenderError',
    field: 'steps.0.cancel.key',
  })
})

t.test('a cancelled run cancels nothing, begins nothing and ends what it holds', async (t) => {
  const workflow = workflowOf({
    steps: [
      'push',
      { cancel: { workflow: 'other', key: '"k"' } },
      { throttle: { count: 1, per: '1h' } },
      { digest: { window: '1h' } },
      'email',
    ],
  })
  const facts = factsOf({ cancelledAt: NOW - 1 })
  const event = eventOf({ customerId: 'ada' })
  for (const more of [{}, { fromStep: 4, resumeAt: NOW + MINUTE, held: [{ step: 0, at: NOW + MINUTE }] }]) {
    const plan = planned({ event, workflow, facts, ...more })
    t.match(plan, { state: 'cancelled', reason: 'CANCELLED', content: {}, inInbox: false })
    t.ok(plan.steps.every(({ reason }) => reason === 'CANCELLED'))
    t.strictSame(
      [plan.cancels, plan.throttles, plan.digest, plan.held, plan.wakeAt],
      Array(5).fill(undefined),
    )
  }
})

const PEOPLE = 100_000
const add = (counts: number[], index: number) => {
  counts[index] = (counts[index] as number) + 1
}

t.test('cohorts are stable, even, and independent of one another', async (t) => {
  const bins = (experiment: string) => {
    const counts = Array.from({ length: 100 }, () => 0)
    for (let id = 0; id < PEOPLE; id++) add(counts, Math.floor(placeIn(experiment, `user-${id}`)))
    return counts
  }
  const spread = (counts: readonly number[], total = PEOPLE) => {
    const expected = total / counts.length
    return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  }
  // 99 degrees of freedom: 160 is passed by chance once in ten thousand
  for (const experiment of ['a', 'b', 'ride-accepted/steps.0'])
    t.ok(spread(bins(experiment)) < 160, `${experiment}: ${spread(bins(experiment)).toFixed(0)}`)
  const pairs = Array.from({ length: 100 }, () => 0)
  for (let id = 0; id < PEOPLE; id++) {
    const [a, b] = [placeIn('a', `user-${id}`), placeIn('b', `user-${id}`)]
    add(pairs, Math.floor(a / 10) * 10 + Math.floor(b / 10))
  }
  t.ok(spread(pairs) < 160, `together: ${spread(pairs).toFixed(0)}`)
  t.strictSame(bins('a'), bins('a'))
  t.equal(placeIn('ride-accepted/steps.0', 'ada').toFixed(4), '7.7892', 'for ever, over releases')
  t.ok(placeIn('', '') >= 0 && placeIn('', '') < 100)
  t.comment(`${4 * PEOPLE} places`)
})
