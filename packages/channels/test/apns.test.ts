import t from 'tap'
import { never, openWorld, outgoing, words } from './fixtures.js'

const { simulators, registry, shownTo, close } = await openWorld()
t.teardown(close)
const { apns } = simulators
const sender = registry.open('apns', 'apns-1', simulators.credentials.apns)
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
const toPhone = () => ({ kind: 'apns' as const, token: apns.registerDevice().token })
const fault = (status: number, reason: string, headers: Record<string, string> = {}) => ({
  status,
  body: { reason },
  headers,
})
t.beforeEach(() => {
  apns.faults.heal()
  apns.faults.latencyMs = 0
})

t.test('shows a message on the phone with its ids and receipt token', async (t) => {
  const to = toPhone()
  const one = outgoing(to, {
    subtitle: 'Ana',
    imageUrl: 'https://img.example/a.png',
    collapseKey: 'k'.repeat(80),
  })
  t.equal((await send(one))[0]?.kind, 'accepted')
  const ids = { nid: one.notificationId, did: one.deliveryId, rt: one.receiptToken }
  t.match(shownTo(to.token), [{ title: 'Your ride', subtitle: 'Ana', ...ids }])
})

t.test('what the app alone is to get wakes it and shows nothing', async (t) => {
  const to = toPhone()
  const messages = [
    { silent: true, badge: 3 },
    { clear: 'an-earlier-one' },
    { dataOnly: true, title: 'Shown all the same' },
  ]
  for (const message of messages) t.same(words(await send(outgoing(to, message))), ['accepted'])
  t.match(shownTo(to.token), [
    { silent: true, raw: { payload: { badge: '3', aps: { 'content-available': 1 } } } },
    { silent: true, raw: { payload: { clear: 'an-earlier-one' } } },
    { silent: false, title: 'Shown all the same' },
  ])
})

t.test(
  'a Live Activity has a token and a topic of its own, and a repeated attempt is no newer',
  async (t) => {
    const { token } = apns.registerDevice({ kind: 'liveactivity' })
    const to = { kind: 'apns-live-activity' as const, token }
    const state = (minutes: number, at: number) =>
      outgoing(to, { liveActivity: { event: 'update', contentState: { minutes }, at } })
    const now = Date.now()
    const older = state(9, now - 60_000)
    const start = { event: 'start', contentState: {} } as const
    t.same(words(await send(state(4, now))), ['accepted'])
    const { activityIgnored } = apns.counters
    t.same(words(await send(older, outgoing(to, { liveActivity: start }), outgoing(to))), [
      'accepted',
      'message LIVE_ACTIVITY_INCOMPLETE',
      'message LIVE_ACTIVITY_MISSING',
    ])
    t.equal(apns.counters.activityIgnored, activityIgnored + 1)
    t.same(words(await send(outgoing({ kind: 'apns', token }))), ['address DeviceTokenNotForTopic'])
  },
)

t.test('tells dead tokens apart from the rest, with the time Apple names', async (t) => {
  const gone = apns.registerDevice()
  apns.unregister(gone.token, 1_700_000_000_000)
  const production = apns.registerDevice({ environment: 'production' })
  const verdicts = await send(
    outgoing({ kind: 'apns', token: gone.token }),
    outgoing({ kind: 'apns', token: 'ab'.repeat(32) }),
    outgoing({ kind: 'apns', token: '../../x' }),
    outgoing({ kind: 'apns', token: production.token }),
    outgoing({ kind: 'apns', token: production.token, environment: 'production' }),
    outgoing(toPhone(), { url: `https://a.example/${'x'.repeat(5000)}` }),
  )
  t.same(words(verdicts), [
    'address Unregistered',
    'address BadDeviceToken',
    'address BadDeviceToken',
    'address BadDeviceToken',
    'accepted',
    'message PAYLOAD_TOO_LARGE',
  ])
  t.match(verdicts[0], { at: 1_700_000_000_000 })
})

t.test('asks once and keeps Retry-After', async (t) => {
  // of its own, since its last answer makes the library change its token, which Apple takes only after a while
  const own = registry.open('apns', 'apns-2', simulators.credentials.apns)
  const before = apns.counters.sends
  const answers = [
    [fault(429, 'TooManyRequests', { 'retry-after': '41' }), 'retry TooManyRequests'],
    [fault(500, 'InternalServerError'), 'retry InternalServerError'],
    [fault(503, 'ServiceUnavailable'), 'retry ServiceUnavailable'],
    [fault(403, 'InvalidProviderToken'), 'config InvalidProviderToken'],
    [fault(413, 'PayloadTooLarge'), 'message PayloadTooLarge'],
    [fault(403, 'ExpiredProviderToken'), 'retry ExpiredProviderToken'],
  ] as const
  for (const [reply, word] of answers) {
    apns.faults.rules.push({ times: 1, reply })
    const verdicts = await own.send([outgoing(toPhone())], never())
    t.same(words(verdicts), [word])
    if (word.endsWith('TooManyRequests')) t.match(verdicts, [{ afterMs: 41_000 }])
  }
  t.equal(apns.counters.sends, before + answers.length)
})

t.test('keeps one notification for an offline phone', async (t) => {
  const to = toPhone()
  apns.setOnline(to.token, false)
  await send(outgoing(to, { title: '1' }))
  await send(outgoing(to, { title: '2' }))
  apns.setOnline(to.token, true)
  t.same(
    shownTo(to.token).map((message) => message.title),
    ['2'],
  )
})

t.test('a repeated attempt replaces what the phone shows already', async (t) => {
  const to = toPhone()
  const one = outgoing(to)
  await send(one)
  await send({ ...one, attempt: 2 })
  t.equal(apns.device(to.token)?.screen.length, 1)
})
