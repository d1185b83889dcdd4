import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { type ExplainedDelivery, type ExplainInput, explain } from './index.js'

const SECOND = 1_000
const workflow = workflowOf({
  category: 'rides',
  stop: 'seen',
  steps: ['inbox', 'push', { wait: '20s' }, 'email'],
})
const event = eventOf({ customerId: 'ada' })
const first = planned({ event, workflow, facts: factsOf(), now: NOW })
const second = planned({
  event,
  workflow,
  facts: factsOf({ seenAt: NOW + 5 * SECOND }),
  now: NOW + 20 * SECOND,
  begunAt: NOW,
  fromStep: 3,
})
const delivery = (changes: Partial<ExplainedDelivery> = {}): ExplainedDelivery => ({
  id: 'd1',
  channel: 'push',
  step: 1,
  address: "Ada's Pixel (fcm)",
  status: 'delivered',
  attempts: [
    { number: 1, provider: 'fcm', verdict: 'retry', reason: '503', at: NOW + SECOND },
    { number: 2, provider: 'fcm', verdict: 'accepted', at: NOW + 3 * SECOND },
  ],
  receipts: [
    { status: 'accepted', at: NOW + 3 * SECOND },
    { status: 'delivered', at: NOW + 4 * SECOND },
  ],
  ...changes,
})
const told = (changes: Partial<ExplainInput> = {}) =>
  explain({
    event: { type: event.type, id: event.id, source: event.source, seenAt: NOW - SECOND },
    workflow: { key: workflow.key, version: workflow.version },
    recipient: 'ada',
    state: 'completed',
    reason: null,
    passes: [first, second],
    deliveries: [delivery()],
    seenAt: NOW + 5 * SECOND,
    readAt: null,
    ...changes,
  })

t.test('the story of a run is one paragraph that support can paste', async (t) => {
  t.equal(
    told().text,
    [
      'The event rides.ride.accepted.v1 (e1) arrived from /rides: workflow "ride-accepted" version 3 matched it for ada.',
      'Step 1 (inbox) was sent on its way: nobody switched it off.',
      'Step 2 (push) was sent on its way: nobody switched it off; to 2 devices.',
      'Step 3 (wait) began to wait: waits 20s, until 2026-11-21T12:00:20.000Z.',
      "Push to Ada's Pixel (fcm): attempt 1 through fcm: retry (503).",
      "Push to Ada's Pixel (fcm): attempt 2 through fcm: accepted.",
      "Push to Ada's Pixel (fcm): delivered: it was reported back.",
      "Push to Ada's Pixel (fcm) is delivered: nothing stands against it.",
      'It was seen: in the inbox or on a device.',
      'The run went on: its wait was over.',
      'Step 4 (email) was skipped: it was seen at 2026-11-21T12:00:05.000Z.',
      'The run is complete.',
    ].join(' '),
  )
})

t.test('the reasons come in the order in which things happened, each with what decided', async (t) => {
  const { reasons } = told()
  t.strictSame(
    reasons.map(({ at }) => at),
    reasons.map(({ at }) => at).sort((a, b) => a - b),
  )
  t.ok(reasons.every(({ what, why }) => what !== '' && why !== ''))
  t.match(reasons.at(-1), { what: 'step 4 (email) was skipped', reason: 'ALREADY_SEEN' })
})

t.test('that they were looking is told in plain words', async (t) => {
  const detail = 'they were looking at the app at 2026-11-21T12:00:00.000Z'
  const step = { step: 1, type: 'push', outcome: 'skip', reason: 'ONLINE', detail } as const
  const { text } = told({ passes: [{ at: NOW, steps: [step] }], deliveries: [] })
  t.match(text, `Step 2 (push) was skipped: the step's unlessOnline decided: ${detail}.`)
})

t.test('a delivery without an attempt stands where it was planned, at a moment that is one', async (t) => {
  const { reasons } = told({ deliveries: [delivery({ status: 'queued', attempts: [], receipts: [] })] })
  const [queued] = reasons.filter(({ what }) => what.endsWith('is queued'))
  t.equal(queued?.at, NOW)
  t.doesNotThrow(() => reasons.map(({ at }) => new Date(at).toISOString()))
})

t.test('what went wrong is said with its reason and what comes next', async (t) => {
  const retrying = delivery({
    status: 'retrying',
    reason: 'PROVIDER_UNAVAILABLE',
    detail: 'FCM answers 503',
    nextAttemptAt: NOW + 30 * SECOND,
    attempts: [{ number: 1, provider: 'fcm', verdict: null, at: NOW + SECOND }],
    receipts: [],
  })
  const { text, reasons } = told({ deliveries: [retrying], state: 'waiting', passes: [first], seenAt: null })
  t.match(text, /attempt 1 through fcm: no answer is known\./)
  t.match(
    text,
    /is retrying: PROVIDER_UNAVAILABLE, FCM answers 503, next attempt at 2026-11-21T12:00:30\.000Z\./,
  )
  t.match(text, /The run waits 20s, until 2026-11-21T12:00:20\.000Z\.$/)
  t.match(
    reasons.find(({ what }) => what.includes('retrying')),
    { reason: 'PROVIDER_UNAVAILABLE' },
  )
})

t.test('what was sent off again, and what may have rung twice, is said', async (t) => {
  const unknown = (number: number) => ({
    number,
    provider: 'fcm',
    verdict: 'unknown',
    at: NOW + number * SECOND,
  })
  const accepted = { number: 3, provider: 'fcm', verdict: 'accepted', at: NOW + 9 * SECOND }
  const again = { status: 'sent' as const, replays: 1, replayedAt: NOW + 5 * SECOND, receipts: [] }
  const doubtOf = (of: Partial<ExplainedDelivery>) =>
    told({ deliveries: [delivery({ ...again, ...of })] }).text
  const { reasons } = told({
    deliveries: [delivery({ ...again, attempts: [unknown(1), accepted], unknowns: 1 })],
  })
  t.same(
    reasons.filter(({ what }) => what.startsWith('push')).map(({ at }) => (at - NOW) / SECOND),
    [1, 5, 9, 9],
    'in its place in time',
  )
  t.match(
    doubtOf({}),
    /sent again on 2026-11-21T12:00:05\.000Z: it had failed, and somebody wanted it sent\./,
  )
  t.match(doubtOf({ replays: 2 }), /it had failed; 2 times by now/)
  t.notMatch(doubtOf({}), /unknown outcome/)
  t.match(
    doubtOf({ attempts: [unknown(1), unknown(2)], unknowns: 2 }),
    /2 attempts of unknown outcome: it may have rung more than once/,
  )
  t.match(
    doubtOf({ attempts: [unknown(1)], unknowns: 1 }),
    /1 attempt of unknown outcome: it may have rung all the same/,
  )
})

t.test('a run that said nothing says why', async (t) => {
  const skipped = planned({
    event,
    workflow: workflowOf({ category: 'rides', steps: ['push'] }),
    facts: factsOf({ preferences: [{ category: 'rides', channel: null, enabled: false }] }),
    now: NOW,
  })
  const { text } = told({
    passes: [skipped],
    deliveries: [],
    seenAt: null,
    state: 'skipped',
    reason: 'UNSUBSCRIBED',
  })
  t.match(
    text,
    /Step 1 \(push\) was skipped: the person has category "rides" off\. The run was skipped \(UNSUBSCRIBED\)\.$/,
  )
})

t.test('what ended by itself was not reported by anybody', async (t) => {
  const ends = (status: 'failed' | 'expired') =>
    told({
      deliveries: [delivery({ status, receipts: [{ status, at: NOW + 5 * SECOND, by: 'worker' }] })],
    }).reasons.map(({ why }) => why)
  t.ok(ends('failed').includes('nothing was left to try'))
  t.ok(ends('expired').includes('its time was over'))
})

t.test('what takes it off a screen is not told as another push', async (t) => {
  const cleared = delivery({ id: 'd2', clears: true, receipts: [] })
  const { reasons } = told({ deliveries: [delivery(), cleared] })
  const ends = reasons
    .map(({ what }) => what)
    .filter((what) => what.endsWith(' is delivered'))
    .sort()
  t.same(ends, ["clearing Ada's Pixel (fcm) is delivered", "push to Ada's Pixel (fcm) is delivered"])
})
