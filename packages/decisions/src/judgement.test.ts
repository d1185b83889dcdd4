import t from 'tap'
import { capped, eventOf, factsOf, NOW, planned, workflowOf } from './fixtures/facts.js'
import { type Facts, type Plan, type PlanInput, planForFailure, planForUnknown } from './index.js'

const event = eventOf({ customerId: 'ada', minutes: 4, rideId: 'r1' })
const judged = (written: object, facts: Facts = factsOf(), more: Partial<PlanInput> = {}): Plan =>
  planned({ event, workflow: workflowOf({ category: 'rides', ...written }), facts, ...more })
const reasons = (result: Plan) => result.steps.map((step) => step.reason ?? step.outcome)
const push = { steps: ['push'] }

t.test('a plan', async (t) => {
  t.test('delivers each channel to the addresses it has', async (t) => {
    const result = judged({
      lane: 'high',
      expires: '1h',
      collapse: 'data.rideId',
      steps: ['inbox', 'push', 'email', { webhook: { url: 'https://x.example/hook', maxAttempts: 2 } }],
    })
    t.strictSame(result, {
      state: 'completed',
      at: NOW,
      steps: [
        { step: 0, type: 'inbox', outcome: 'deliver', detail: 'nobody switched it off' },
        {
          step: 1,
          type: 'push',
          outcome: 'deliver',
          detail: 'nobody switched it off; to 2 devices',
          addresses: [
            { kind: 'device', id: 'phone' },
            { kind: 'device', id: 'laptop' },
          ],
        },
        {
          step: 2,
          type: 'email',
          outcome: 'deliver',
          detail: 'nobody switched it off; to the mailbox',
          addresses: [{ kind: 'email', id: 'ada@example.com' }],
        },
        {
          step: 3,
          type: 'webhook',
          outcome: 'deliver',
          detail: 'nobody switched it off; to https://x.example/hook',
          addresses: [{ kind: 'webhook', id: 'https://x.example/hook' }],
          maxAttempts: 2,
        },
      ],
      content: { inbox: { title: 'On the way' } },
      inInbox: true,
      lane: 'high',
      category: 'rides',
      expiresAt: NOW + 3_600_000,
      collapseKey: 'r1',
    })
  })

  t.test("takes the event's lane when the workflow names none", async (t) => {
    const bulk = planned({
      event: { ...event, lane: 'bulk' },
      workflow: workflowOf({}),
      facts: factsOf(),
      now: NOW,
    })
    t.equal(bulk.lane, 'bulk')
  })

  t.test('pushes only to active devices of the app that the step names', async (t) => {
    const [step] = judged({ steps: [{ push: { app: 'driver' } }] }).steps
    t.strictSame(step?.addresses, [{ kind: 'device', id: 'laptop' }])
    const gone = factsOf({ devices: [{ id: 'phone', kind: 'fcm', app: 'customer', status: 'gone' }] })
    t.match(judged(push, gone).steps[0], { reason: 'NO_ADDRESS', detail: /none of the devices .* is active/ })
    t.match(judged({ steps: [{ push: { app: 'kiosk' } }] }).steps[0], {
      detail: /active device of the app "kiosk"/,
    })
  })

  t.test('ignores a collapse key that has no value, and keeps one that can be stored', async (t) => {
    t.equal(judged({ collapse: 'data.nothing' }).collapseKey, undefined)
    t.equal(judged({ collapse: 'data.minutes' }).collapseKey, '4')
    t.equal(judged({ collapse: 'data' }).collapseKey, undefined)
    const hostile = planned({
      event: eventOf({ rideId: `a\u0000b${'x'.repeat(500)}` }),
      workflow: workflowOf({ collapse: 'data.rideId' }),
      facts: factsOf(),
      now: NOW,
    })
    t.match(hostile.collapseKey, /^abx+$/)
    t.ok((hostile.collapseKey?.length ?? 0) <= 256)
  })

  t.test('hands an app the data that the event offers it, and nothing else', async (t) => {
    const offered = (data: unknown) =>
      planned({ event: eventOf(data), workflow: workflowOf({}), facts: factsOf(), now: NOW }).content.inbox
        ?.data
    t.strictSame(offered({ notification: { ride: 'r1' } }), { ride: 'r1' })
    for (const data of [{ notification: ['a'] }, { notification: 'a' }, null, 'text', {}])
      t.equal(offered(data), undefined)
  })
})

t.test('the first no is the reason', async (t) => {
  // each row says no in one more way than the one above; the earliest in the order of judgement must win
  const everythingAgainst = factsOf({
    user: { status: 'suspended', email: null },
    devices: [],
    cancelledAt: NOW - 2_000,
    preferences: [
      { category: 'rides', channel: null, enabled: false },
      { category: null, channel: 'push', enabled: false },
    ],
    seenAt: NOW - 1_000,
    online: true,
    used: capped(),
  })
  const written = {
    stop: 'seen',
    expires: '1h',
    cap: { count: 1, per: '1d' },
    steps: [{ push: { if: 'data.minutes > 9' } }],
  }
  const late = { begunAt: NOW - 3_600_000 }
  const active = { ...everythingAgainst, user: { ...everythingAgainst.user, status: 'active' as const } }
  const going = { ...active, cancelledAt: null }
  const met = { ...written, steps: [{ push: { unlessOnline: true } }] }
  const channelOff = { ...going, preferences: going.preferences.slice(1) }
  const wanted = { ...going, preferences: [] }
  const unseen = { ...wanted, seenAt: null }
  const away = { ...unseen, online: false }
  const { used: _, ...uncapped } = away
  const cases: [string, string, Plan, string | RegExp][] = [
    ['a suspended recipient', 'NO_RECIPIENT', judged(written, everythingAgainst, late), /suspended/],
    ['a cancel', 'CANCELLED', judged(written, active, late), /cancelled/],
    ['the expiry', 'EXPIRED', judged(written, going, late), 'it expired after 1h'],
    [
      "the step's condition",
      'CONDITION_FALSE',
      judged(written, going),
      "the step's condition data.minutes > 9 is false",
    ],
    ['the category', 'UNSUBSCRIBED', judged(met, going), 'the person has category "rides" off'],
    ['the channel', 'UNSUBSCRIBED', judged(met, channelOff), 'the person has push off'],
    ['having seen it', 'ALREADY_SEEN', judged(met, wanted), 'it was seen at 2026-11-21T11:59:59.000Z'],
    [
      'looking at the app',
      'ONLINE',
      judged(met, unseen),
      'they were looking at the app at 2026-11-21T12:00:00.000Z',
    ],
    ['the cap', 'FREQUENCY_CAPPED', judged(met, away), /^9 of at most 1 per 1d have gone out/],
    ['the address', 'NO_ADDRESS', judged(met, uncapped), 'the recipient has no device'],
  ]
  for (const [what, reason, result, detail] of cases) {
    t.test(`${what} comes before what stands below it`, async (t) => {
      t.match(result.steps, [{ outcome: 'skip', reason, detail }])
    })
  }
  t.test('looking at the app keeps only what asks for it', async (t) => {
    const steps = ['inbox', 'push', { email: { unlessOnline: true } }, { email: { unlessOnline: false } }]
    t.strictSame(reasons(judged({ steps }, factsOf({ online: true }))), [
      'deliver',
      'deliver',
      'ONLINE',
      'deliver',
    ])
    t.strictSame(reasons(judged({ steps }, factsOf())), Array(4).fill('deliver'), 'nobody could say')
  })

  t.test('and nothing is left when all of them are gone', async (t) => {
    t.match(judged(met, { ...uncapped, devices: factsOf().devices }), {
      state: 'completed',
      steps: [{ outcome: 'deliver' }],
    })
  })

  t.test('a run that delivers nothing is skipped with a reason, or cancelled', async (t) => {
    t.match(judged(met, wanted), { state: 'skipped', reason: 'ALREADY_SEEN', inInbox: false })
    t.match(judged(met, active), { state: 'cancelled', reason: 'CANCELLED', content: {} })
  })

  t.test('a condition that cannot be judged is a reason and not a crash', async (t) => {
    t.match(judged({ steps: [{ push: { if: 'data.nothing.deeper == 1' } }] }).steps[0], {
      reason: 'CONDITION_FALSE',
      detail: "the step's condition data.nothing.deeper == 1 could not be judged: No such key: nothing",
    })
    t.match(judged({ steps: [{ push: { if: 'data.minutes' } }] }).steps[0], {
      detail: /neither true nor false/,
    })
  })
})

t.test('preferences', async (t) => {
  const on = (category: string | null, channel: 'push' | null) => ({ category, channel, enabled: true })
  const off = (category: string | null, channel: 'push' | null) => ({ category, channel, enabled: false })
  const verdict = (facts: Parameters<typeof factsOf>[0]) => {
    const step = judged(push, factsOf(facts)).steps[0]
    return [step?.reason ?? step?.outcome, step?.detail.split(';', 1)[0]]
  }
  t.test("the person's word on a category beats the tenant's, which beats the category's", async (t) => {
    const defaults = { key: 'rides', name: 'Rides', critical: false, defaults: { push: false } }
    t.strictSame(verdict({ category: defaults }), [
      'OPT_IN_REQUIRED',
      'the default of category "rides" has push off',
    ])
    t.strictSame(verdict({ category: defaults, tenantDefaults: [on('rides', null)] }), [
      'deliver',
      `the tenant's default has category "rides" on`,
    ])
    t.strictSame(verdict({ category: defaults, tenantDefaults: [off('rides', 'push')] }), [
      'OPT_IN_REQUIRED',
      `the tenant's default has category "rides" by push off`,
    ])
    t.strictSame(
      verdict({ category: defaults, tenantDefaults: [off('rides', null)], preferences: [on('rides', null)] }),
      ['deliver', 'the person has category "rides" on'],
    )
  })
  t.test('a channel that is off stays off, though the category is on', async (t) => {
    t.strictSame(verdict({ preferences: [on('rides', null), off(null, 'push')] }), [
      'UNSUBSCRIBED',
      'the person has push off',
    ])
    t.strictSame(verdict({ preferences: [off(null, null)] }), [
      'UNSUBSCRIBED',
      'the person has everything off',
    ])
    t.strictSame(verdict({ tenantDefaults: [off(null, 'push')] }), [
      'OPT_IN_REQUIRED',
      "the tenant's default has push off",
    ])
    t.strictSame(verdict({ tenantDefaults: [off(null, 'push')], preferences: [on(null, 'push')] }), [
      'deliver',
      'the person has push on',
    ])
  })
  t.test("the person's word on exactly this category and channel answers both", async (t) => {
    t.strictSame(verdict({ preferences: [on('rides', 'push'), off(null, 'push'), off('rides', null)] }), [
      'deliver',
      'the person has category "rides" by push on',
    ])
    t.strictSame(verdict({ preferences: [off('rides', 'push'), on('rides', null), on(null, 'push')] }), [
      'UNSUBSCRIBED',
      'the person has category "rides" by push off',
    ])
  })
  t.test('words on other categories and channels count for nothing', async (t) => {
    const others = { category: 'offers', channel: null, enabled: false }
    t.strictSame(
      verdict({ preferences: [others, { category: null, channel: 'email', enabled: false }] })[0],
      'deliver',
    )
  })
  t.test("a person's word counts for a category that stands in no directory", async (t) => {
    t.strictSame(verdict({ category: null, preferences: [off('rides', null)] })[0], 'UNSUBSCRIBED')
  })
  t.test('a critical category is neither switched off nor capped', async (t) => {
    const critical = { key: 'rides', name: 'Rides', critical: true, defaults: { push: false } }
    const facts = factsOf({
      category: critical,
      preferences: [off('rides', 'push'), off(null, null)],
      used: capped(),
    })
    t.match(judged({ ...push, cap: { count: 1, per: '1d' } }, facts).steps[0], {
      outcome: 'deliver',
      detail: /^category "rides" is critical and can't be switched off/,
    })
  })
})

t.test('a frequency cap', async (t) => {
  const cap = { count: 2, per: '1d' }
  t.test('holds nothing back until it is used up', async (t) => {
    t.strictSame(reasons(judged({ cap, steps: ['push'] }, factsOf({ used: { throttles: new Set() } }))), [
      'deliver',
    ])
    t.strictSame(reasons(judged({ cap, steps: ['push'] }, factsOf({ used: capped() }))), ['FREQUENCY_CAPPED'])
  })
  t.test('never holds back the inbox', async (t) => {
    const result = judged({ cap, steps: ['inbox', 'push'] }, factsOf({ used: capped() }))
    t.strictSame(reasons(result), ['deliver', 'FREQUENCY_CAPPED'])
    t.match(result, { state: 'completed', inInbox: true })
  })
  t.test('shows in the inbox what a workflow without an inbox step would have sent', async (t) => {
    const result = judged({ cap, steps: ['push'] }, factsOf({ used: capped() }))
    t.match(result, { state: 'completed', inInbox: true, content: { inbox: { title: 'On the way' } } })
    const own = judged(
      { cap, content: {}, steps: [{ push: { content: { title: 'Only here' } } }] },
      factsOf({ used: capped() }),
    )
    t.match(own, { inInbox: true, content: { inbox: { title: 'Only here' } } })
  })
  t.test('shows nothing to who has the inbox off', async (t) => {
    const facts = factsOf({
      used: capped(),
      preferences: [{ category: null, channel: 'inbox', enabled: false }],
    })
    t.match(judged({ cap, steps: ['push'] }, facts), {
      state: 'skipped',
      reason: 'FREQUENCY_CAPPED',
      inInbox: false,
    })
  })
})

t.test('a wait', async (t) => {
  const steps = ['inbox', { wait: '20s' }, 'push', { wait: '10m' }, 'email']
  t.test('ends the pass and says when and where it goes on', async (t) => {
    t.match(judged({ steps }), {
      state: 'waiting',
      steps: [{ outcome: 'deliver' }, { outcome: 'wait', detail: 'waits 20s', at: NOW + 20_000 }],
      wakeAt: NOW + 20_000,
      nextStep: 2,
    })
  })
  t.test('is followed by a judgement with the facts of then', async (t) => {
    const later = { fromStep: 2, begunAt: NOW, now: NOW + 20_000 }
    const unsubscribed = factsOf({ preferences: [{ category: 'rides', channel: null, enabled: false }] })
    t.match(judged({ steps }, unsubscribed, later), {
      steps: [{ step: 2, reason: 'UNSUBSCRIBED' }, { step: 3 }],
    })
    t.match(judged({ steps }, factsOf(), later), {
      state: 'waiting',
      steps: [{ step: 2, outcome: 'deliver' }, {}],
      nextStep: 4,
    })
  })
  t.test('counts expiry from when the run began', async (t) => {
    const result = judged({ steps, expires: '15m' }, factsOf(), { fromStep: 4, begunAt: NOW - 900_000 })
    t.match(result, { expiresAt: NOW, steps: [{ step: 4, reason: 'EXPIRED' }] })
  })
  t.test(
    'is not begun by a run that can say nothing any more: all that is left has the reason',
    async (t) => {
      const seen = factsOf({ seenAt: NOW })
      t.strictSame(reasons(judged({ steps, stop: 'seen' }, seen)), [
        'deliver',
        ...Array(4).fill('ALREADY_SEEN'),
      ])
      t.match(judged({ steps, stop: 'seen' }, seen), { state: 'completed', inInbox: true })
      const cancelled = judged({ steps }, factsOf({ cancelledAt: NOW - 2_000 }))
      t.strictSame(reasons(cancelled), Array(5).fill('CANCELLED'))
      t.equal(cancelled.wakeAt, undefined)
      t.strictSame(reasons(judged({ steps }, seen)), ['deliver', 'wait'], 'without stop: seen it goes on')
    },
  )
})

t.test('runs that are not judged', async (t) => {
  const workflow = workflowOf({ category: 'rides', lane: 'high' })
  t.test('an unknown recipient is skipped and named', async (t) => {
    t.match(planForUnknown({ event, workflow, now: NOW, recipient: 'ghost' }), {
      state: 'skipped',
      reason: 'NO_RECIPIENT',
      steps: [{ step: 0, type: 'inbox', reason: 'NO_RECIPIENT', detail: 'there is no user "ghost"' }],
      inInbox: false,
      lane: 'high',
      category: 'rides',
    })
  })
  t.test('a text that cannot be rendered fails the run with what is missing', async (t) => {
    const needs = workflowOf({ content: { title: '{{ data.driver }}' } })
    t.throws(() => planned({ event, workflow: needs, facts: factsOf(), now: NOW }), {
      code: 'VARIABLE_MISSING',
      field: 'content.title',
      message: /needs data\.driver/,
    })
    t.match(planForFailure({ event, workflow, now: NOW, problem: 'no data.driver' }), {
      state: 'failed',
      reason: 'PAYLOAD_INVALID',
      steps: [{ outcome: 'skip', detail: 'no data.driver' }],
    })
  })
  t.test('a text that nobody would get is not rendered', async (t) => {
    const needs = workflowOf({ steps: ['inbox', { email: { content: { html: '{{ data.driver }}' } } }] })
    const facts = factsOf({ user: { email: null } })
    t.match(planned({ event, workflow: needs, facts, now: NOW }), {
      state: 'completed',
      content: { inbox: {} },
    })
  })
})
