import t from 'tap'
import { eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import type { Facts, Plan, PlanInput, QuietHours } from './index.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const event = eventOf({ customerId: 'ada' })
/** 13:00 in Vienna now; quiet until 14:00. */
const lunch = (changes: Partial<QuietHours> = {}): QuietHours => ({
  windows: [{ from: '12:30', to: '14:00' }],
  channels: ['push', 'email', 'sms'],
  by: 'person',
  ...changes,
})
const judged = (
  written: object,
  facts: Parameters<typeof factsOf>[0] = {},
  more: Partial<PlanInput> = {},
): Plan =>
  planned({
    event,
    workflow: workflowOf(written),
    facts: factsOf({ quietHours: lunch(), ...facts }),
    ...more,
  })
const woken = (held: Plan, now = NOW + HOUR): Partial<PlanInput> => ({
  now,
  begunAt: NOW,
  fromStep: held.nextStep ?? null,
  resumeAt: held.resumeAt ?? null,
  held: held.held ?? [],
})
const outcomes = (plan: Plan) => plan.steps.map(({ reason, outcome }) => reason ?? outcome)
const push = { steps: ['push'] }

t.test('quiet hours hold a step and say whose they are and until when', async (t) => {
  t.match(judged(push), {
    state: 'waiting',
    steps: [
      {
        outcome: 'hold',
        reason: 'QUIET_HOURS',
        detail: "the person's quiet hours last until 14:00 (Europe/Vienna)",
        at: NOW + HOUR,
      },
    ],
    held: [{ step: 0, at: NOW + HOUR }],
    wakeAt: NOW + HOUR,
    content: {},
  })
  t.match(judged(push, { quietHours: lunch({ by: 'tenant' }) }).steps[0]?.detail, /^the tenant's quiet hours/)
  const abroad = { user: { timezone: null }, tenantTimezone: 'Asia/Tokyo' }
  t.equal(judged(push, abroad).steps[0]?.outcome, 'deliver', 'by the clock of the recipient')
})

t.test('what was held is judged again when they are over', async (t) => {
  const first = judged(push)
  t.match(judged(push, {}, woken(first)), { state: 'completed', steps: [{ step: 0, outcome: 'deliver' }] })
  const again = (facts: Partial<Facts>, written: object = push) => judged(written, facts, woken(first)).steps
  t.match(again({ preferences: [{ category: null, channel: 'push', enabled: false }] }), [
    { reason: 'UNSUBSCRIBED', detail: 'the person has push off' },
  ])
  t.match(again({ seenAt: NOW + 1 }, { ...push, stop: 'seen' }), [{ reason: 'ALREADY_SEEN' }])
  t.match(again({ cancelledAt: NOW + 1 }), [{ reason: 'CANCELLED' }])
  t.match(again({ devices: [] }), [{ reason: 'NO_ADDRESS' }])
  t.match(again({ quietHours: null }), [{ outcome: 'deliver' }])
  const longer = judged(
    push,
    { quietHours: lunch({ windows: [{ from: '12:30', to: '15:00' }] }) },
    woken(first),
  )
  t.match(longer, {
    state: 'waiting',
    steps: [{ outcome: 'hold', at: NOW + 2 * HOUR }],
    wakeAt: NOW + 2 * HOUR,
  })
})

t.test('woken too early they go on holding, and nothing is said twice', async (t) => {
  const first = judged(push)
  t.match(judged(push, {}, woken(first, NOW + HOUR - 1)), {
    state: 'waiting',
    steps: [],
    held: first.held,
    wakeAt: NOW + HOUR,
  })
})

t.test('what would expire meanwhile expires now, and quiet hours are named', async (t) => {
  for (const expires of ['30m', '1h'])
    t.match(judged({ ...push, expires }), {
      state: 'skipped',
      reason: 'EXPIRED',
      steps: [
        {
          detail: `the person's quiet hours last until 14:00 (Europe/Vienna), and by then it has expired (${expires})`,
        },
      ],
    })
  t.equal(judged({ ...push, expires: '61m' }).state, 'waiting')
})

t.test('the urgent passes', async (t) => {
  const critical = { key: 'alarm', name: 'Alarm', critical: true, defaults: {} }
  t.strictSame(outcomes(judged(push, { category: critical })), ['deliver'])
  t.strictSame(outcomes(judged({ ...push, lane: 'high' })), ['deliver'])
  t.strictSame(outcomes(judged(push, {}, { event: { ...event, lane: 'high' } })), ['deliver'])
  t.strictSame(outcomes(judged({ ...push, lane: 'normal' }, {}, { event: { ...event, lane: 'high' } })), [
    'QUIET_HOURS',
  ])
})

t.test('only their channels are held, and never the inbox', async (t) => {
  const all = { steps: ['inbox', 'push', 'email', { webhook: { url: 'https://a.example/' } }] }
  t.strictSame(outcomes(judged(all)), ['deliver', 'QUIET_HOURS', 'QUIET_HOURS', 'deliver'])
  t.strictSame(outcomes(judged(all, { quietHours: lunch({ channels: ['email'] }) })), [
    'deliver',
    'deliver',
    'QUIET_HOURS',
    'deliver',
  ])
  t.strictSame(
    outcomes(judged(all, { quietHours: lunch({ channels: ['inbox', 'push', 'email', 'webhook'] }) })),
    ['deliver', 'QUIET_HOURS', 'QUIET_HOURS', 'QUIET_HOURS'],
  )
})

t.test('a refusal that comes before them holds nothing', async (t) => {
  t.strictSame(outcomes(judged(push, { preferences: [{ category: null, channel: null, enabled: false }] })), [
    'UNSUBSCRIBED',
  ])
  t.strictSame(outcomes(judged({ steps: [{ push: { if: 'false' } }] })), ['CONDITION_FALSE'])
  t.strictSame(outcomes(judged(push, { devices: [] })), ['QUIET_HOURS'], 'an address may come meanwhile')
})

t.test('other steps go on meanwhile, and each is woken in its time', async (t) => {
  const written = { steps: ['push', { wait: '10m' }, 'inbox', { wait: '2h' }, 'sms'] }
  const phone = { user: { phone: '+43' } }
  const first = judged(written, phone)
  t.match(first, {
    state: 'waiting',
    nextStep: 2,
    resumeAt: NOW + 10 * MINUTE,
    held: [{ step: 0 }],
    wakeAt: NOW + 10 * MINUTE,
  })
  const second = judged(written, phone, woken(first, NOW + 10 * MINUTE))
  t.match(second, { inInbox: true, nextStep: 4, held: [{ step: 0, at: NOW + HOUR }], wakeAt: NOW + HOUR })
  const third = judged(written, phone, woken(second))
  t.match(third, {
    state: 'waiting',
    steps: [{ step: 0, outcome: 'deliver' }],
    nextStep: 4,
    wakeAt: NOW + 130 * MINUTE,
  })
  t.equal(third.held, undefined)
  const last = judged(written, phone, woken(third, NOW + 130 * MINUTE))
  t.match(last, { state: 'completed', steps: [{ step: 4, outcome: 'deliver' }] })
})

t.test('a run that ends ends what it holds, with the same reason', async (t) => {
  const written = { steps: ['push', { wait: '30m' }, 'inbox'], stop: 'seen' }
  const first = judged(written)
  const ended = judged(written, { seenAt: NOW + 1 }, woken(first, NOW + MINUTE))
  t.strictSame(outcomes(ended), ['ALREADY_SEEN', 'ALREADY_SEEN'])
  t.match(ended, { state: 'skipped', reason: 'ALREADY_SEEN' })
})
