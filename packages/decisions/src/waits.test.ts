import fc from 'fast-check'
import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { type Plan, type PlanInput, RenderError } from './index.js'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR
const data = { customerId: 'ada', rideId: 'r1' }
const event = eventOf(data)
const iso = (at: number | undefined) => (at === undefined ? at : new Date(at).toISOString())
const waiting = (wait: unknown, more: Partial<PlanInput> = {}): Plan =>
  planned({ event, workflow: workflowOf({ steps: [{ wait }, 'push'] }), facts: factsOf(), ...more })
const untilWhen = workflowOf({ steps: [{ wait: { until: 'data.when' } }, 'push'] })
const until = (when: unknown): Plan =>
  planned({ event: eventOf({ ...data, when }), workflow: untilWhen, facts: factsOf() })

t.test('a wait for a time goes on when it is over', async (t) => {
  for (const wait of ['90m', { for: '90m' }]) {
    t.match(waiting(wait), {
      state: 'waiting',
      steps: [{ type: 'wait', outcome: 'wait', detail: 'waits 90m' }],
      nextStep: 1,
      resumeAt: NOW + 1.5 * HOUR,
      wakeAt: NOW + 1.5 * HOUR,
    })
  }
  t.match(waiting('365d'), { wakeAt: NOW + 365 * DAY })
})

t.test('a wait until a moment', async (t) => {
  const noon = NOW + DAY
  t.test('takes text with an offset, a timestamp and milliseconds for the same moment', async (t) => {
    t.equal(until('2026-11-22T12:00:00Z').wakeAt, noon)
    t.equal(until('2026-11-22T13:00:00.000+01:00').wakeAt, noon)
    t.equal(until(noon).wakeAt, noon)
    t.equal(waiting({ until: 'timestamp("2026-11-22T12:00:00Z")' }).wakeAt, noon)
    t.equal(waiting({ until: 'timestamp("2026-11-22T12:00:00Z") - duration("2h")' }).wakeAt, noon - 2 * HOUR)
  })
  t.test('that has been already passes at once', async (t) => {
    for (const past of [NOW, NOW - 1, 0, -1e15, '2001-01-01T00:00:00Z'])
      t.match(until(past), {
        state: 'completed',
        steps: [{ outcome: 'pass', detail: /has been already$/ }, {}],
      })
  })
  t.test('may be 365 days ahead and no further', async (t) => {
    t.equal(until(NOW + 365 * DAY).wakeAt, NOW + 365 * DAY)
    t.throws(() => until(NOW + 365 * DAY + 1), {
      name: 'RenderError',
      field: 'steps.0.wait.until',
      message: 'steps.0.wait.until is more than 365d ahead',
    })
  })
  t.test('that is none is an error which names the step', async (t) => {
    const nonsense = [
      '',
      'soon',
      '2026-11-22',
      '2026-11-22T12:00:00',
      '2026-13-45T99:00:00Z',
      true,
      null,
      {},
      [],
      1e300,
    ]
    for (const when of [...nonsense, -1e300])
      t.throws(
        () => until(when),
        { name: 'RenderError', message: /^steps\.0\.wait\.until gives no moment$/ },
        String(when),
      )
    t.throws(() => waiting({ until: 'data.when' }), { message: /could not be judged: No such key: when/ })
    const inBranch = workflowOf({
      steps: [{ branch: { if: 'true', then: [{ wait: { until: 'data.x' } }, 'push'] } }],
    })
    t.throws(() => planned({ event, workflow: inBranch, facts: factsOf() }), {
      name: 'RenderError',
      field: 'steps.0.branch.then.0.wait.until',
    })
  })
  t.test('never crashes on what an event says', async (t) => {
    let cases = 0
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.double(),
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        ),
        (when) => {
          cases++
          try {
            const { wakeAt } = until(when)
            return wakeAt === undefined || (wakeAt > NOW && wakeAt <= NOW + 365 * DAY)
          } catch (error) {
            return error instanceof RenderError && error.field === 'steps.0.wait.until'
          }
        },
      ),
      { numRuns: 500 },
    )
    t.comment(`${cases} cases`)
  })
})

t.test('a wait until a local time keeps to the clock of the recipient', async (t) => {
  const at = (now: string, timezone: string | null, wait: object = { at: '09:00' }) =>
    iso(
      waiting(wait, {
        now: Date.parse(now),
        facts: factsOf({ user: { timezone }, tenantTimezone: 'Asia/Tokyo' }),
      }).wakeAt,
    )
  t.equal(at('2026-11-21T12:00Z', 'Europe/Vienna'), '2026-11-22T08:00:00.000Z')
  t.equal(at('2026-03-28T12:00Z', 'Europe/Vienna'), '2026-03-29T07:00:00.000Z', 'clocks went forward')
  t.equal(at('2026-10-24T12:00Z', 'Europe/Vienna'), '2026-10-25T08:00:00.000Z', 'clocks went back')
  t.equal(at('2026-03-28T12:00Z', 'Europe/Vienna', { at: '02:30' }), '2026-03-29T01:00:00.000Z', 'skipped')
  t.equal(at('2026-11-21T12:00Z', null), '2026-11-22T00:00:00.000Z', "the tenant's clock")
  t.equal(at('2026-11-21T12:00Z', 'UTC', { at: '09:00', days: ['mon'] }), '2026-11-23T09:00:00.000Z')
  t.match(waiting({ at: '09:00', days: ['mon', 'tue'] }).steps, [{ detail: 'waits until 09:00 on mon, tue' }])
})

t.test('a wait for an event', async (t) => {
  const workflow = workflowOf({
    steps: [
      { wait: { event: 'rides.ride.paid.v1', key: 'data.rideId', for: '1h' } },
      {
        branch: {
          if: 'run.woken == "event"',
          then: [{ push: { content: { title: 'Paid {{ data.rideId }}' } } }],
          else: ['sms'],
        },
      },
    ],
  })
  const begun = planned({ event, workflow, facts: factsOf() })
  const again = (now: number, at?: number) =>
    planned({
      event,
      workflow,
      now,
      begunAt: NOW,
      fromStep: 1,
      resumeAt: begun.resumeAt as number,
      facts: factsOf({
        user: { phone: '+43' },
        ...(at === undefined
          ? {}
          : { awaited: { type: 'rides.ride.paid.v1', key: 'r1', data: { amount: 7 }, at } }),
      }),
    })
  const types = (result: Plan) => result.steps.map(({ type }) => type)
  t.test('says what wakes it, and when it is given up', async (t) => {
    t.match(begun, {
      state: 'waiting',
      awaits: { type: 'rides.ride.paid.v1', expression: 'data.rideId', key: 'r1' },
      resumeAt: NOW + HOUR,
    })
  })
  t.test('goes on as soon as the event is there', async (t) => {
    t.strictSame(types(again(NOW + 5, NOW + 5)), ['branch', 'push'])
    t.strictSame(types(again(NOW + HOUR, NOW + HOUR)), ['branch', 'push'], 'in the last moment')
  })
  t.test('goes on without it when the time is over', async (t) => {
    t.strictSame(types(again(NOW + HOUR)), ['branch', 'sms'])
  })
  t.test('woken early without the event it keeps waiting, as long as before', async (t) => {
    t.match(again(NOW + 5), {
      state: 'waiting',
      steps: [],
      nextStep: 1,
      resumeAt: begun.resumeAt,
      wakeAt: begun.resumeAt,
    })
  })
  t.test('that came before it began to wait passes at once', async (t) => {
    const facts = factsOf({ awaited: { type: 'rides.ride.paid.v1', key: 'r1', data: {}, at: NOW } })
    t.match(planned({ event, workflow, facts, begunAt: NOW }).steps[0], {
      outcome: 'pass',
      detail: /came at 2026/,
    })
    const old = factsOf({ awaited: { type: 'rides.ride.paid.v1', key: 'r1', data: {}, at: NOW - 1 } })
    t.equal(planned({ event, workflow, facts: old, begunAt: NOW }).state, 'waiting', 'but not before the run')
    const other = factsOf({ awaited: { type: 'rides.ride.paid.v1', key: 'r2', data: {}, at: NOW } })
    t.equal(
      planned({ event, workflow, facts: other, begunAt: NOW }).state,
      'waiting',
      'and not with another key',
    )
  })
  t.test('without the value of its key is an error which names the step', async (t) => {
    t.throws(() => planned({ event: eventOf({ customerId: 'ada' }), workflow, facts: factsOf() }), {
      name: 'RenderError',
      message: /^steps\.0\.wait\.key could not be judged/,
    })
  })
  t.test('shows what it brought to the conditions after it', async (t) => {
    const asks = workflowOf({
      steps: [
        { wait: { event: 'a.b', key: 'data.rideId', for: '1h' } },
        { push: { if: 'run.event.amount > 5' } },
      ],
    })
    const facts = factsOf({ awaited: { type: 'a.b', key: 'r1', data: { amount: 7 }, at: NOW + 1 } })
    const woken = { event, workflow: asks, now: NOW + 1, begunAt: NOW, fromStep: 1, resumeAt: NOW + HOUR }
    t.equal(planned({ ...woken, facts }).steps[0]?.outcome, 'deliver')
    t.equal(planned({ ...woken, now: NOW + HOUR, facts: factsOf() }).steps[0]?.reason, 'CONDITION_FALSE')
  })
})

t.test('a wait until it is seen', async (t) => {
  const workflow = workflowOf({
    steps: ['inbox', { wait: { seen: true, for: '10m' } }, { push: { if: '!run.seen' } }],
  })
  const judge = (more: Partial<PlanInput> = {}) => planned({ event, workflow, facts: factsOf(), ...more })
  const later = { begunAt: NOW, fromStep: 2, resumeAt: NOW + 600 * SECOND }
  const seen = factsOf({ seenAt: NOW + SECOND })
  t.match(judge(), { state: 'waiting', wakeOnSeen: true, resumeAt: NOW + 600 * SECOND })
  t.match(judge({ ...later, now: NOW + SECOND, facts: seen }), {
    state: 'skipped',
    reason: 'CONDITION_FALSE',
  })
  t.match(judge({ ...later, now: NOW + SECOND }), {
    state: 'waiting',
    resumeAt: NOW + 600 * SECOND,
    steps: [],
  })
  t.match(judge({ ...later, now: NOW + 600 * SECOND }), {
    state: 'completed',
    steps: [{ outcome: 'deliver' }],
  })
  t.match(judge({ facts: factsOf({ seenAt: NOW - 1 }) }).steps[1], {
    outcome: 'pass',
    detail: /^it was seen at/,
  })
})

t.test('a wait is over exactly when it says, whatever wakes it before', async (t) => {
  let cases = 0
  const workflow = workflowOf({ steps: [{ wait: '1h' }, 'push'] })
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 * HOUR }), { maxLength: 8 }), (wakes) => {
      cases++
      let state = planned({ event, workflow, facts: factsOf() })
      for (const ms of [...wakes.sort((a, b) => a - b), 2 * HOUR]) {
        if (state.state !== 'waiting') break
        const { nextStep = 0, resumeAt } = state
        state = planned({
          event,
          workflow,
          facts: factsOf(),
          now: NOW + ms,
          begunAt: NOW,
          fromStep: nextStep,
          resumeAt: resumeAt as number,
        })
        if ((state.state === 'waiting') !== ms < HOUR) return false
      }
      return state.state === 'completed'
    }),
    { numRuns: 300 },
  )
  t.comment(`${cases} cases`)
})
