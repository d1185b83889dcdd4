import t from 'tap'
import { kinds, never, openWorld, outgoing, times, until, words } from './fixtures.js'

const { simulators, registry, shownTo, close } = await openWorld()
t.teardown(close)
const { fcm } = simulators
const sender = registry.open('fcm', 'fcm-1', simulators.credentials.fcm)
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
const toPhone = () => ({ kind: 'fcm' as const, token: fcm.registerDevice().token })
const fault = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  body,
  headers,
})
t.beforeEach(() => {
  fcm.faults.heal()
  fcm.faults.latencyMs = 0
})

t.test('shows a message on the phone with its ids and receipt token', async (t) => {
  const actions = [{ id: 'call', title: 'Call' }]
  const to = toPhone()
  const data = { attempt: '7', ride: '4711' }
  const one = outgoing(to, { url: 'https://rides.example/1', actions, data })
  t.match(await send(one), [{ kind: 'accepted', providerId: /^projects\// }])
  const ids = { nid: one.notificationId, did: one.deliveryId, rt: one.receiptToken }
  t.match(shownTo(to.token), [{ title: 'Your ride', url: 'https://rides.example/1', actions, ...ids }])
  const raw = shownTo(to.token)[0]?.raw as { data: unknown } | undefined
  const sent = { ...data, ...ids, url: 'https://rides.example/1', actions: JSON.stringify(actions) }
  t.same(raw?.data, sent, 'the data is what was given, and our own')
})

t.test('gives each message of a batch its own verdict, in order', async (t) => {
  const gone = fcm.registerDevice()
  gone.state = 'unregistered'
  const other = fcm.registerDevice()
  other.state = 'other-sender'
  const verdicts = await send(
    outgoing(toPhone()),
    outgoing({ kind: 'fcm', token: gone.token }),
    outgoing({ kind: 'fcm', token: 'short' }),
    outgoing({ kind: 'fcm', token: other.token }),
    outgoing({ kind: 'email', email: 'a@b.example' }),
    outgoing(toPhone(), { expiresAt: Date.now() - 1 }),
    outgoing(toPhone(), { overrides: { fcm: { data: { n: 5 } } } }),
    outgoing(toPhone(), { url: `https://a.example/${'x'.repeat(5000)}` }),
    outgoing(toPhone()),
  )
  t.match(words(verdicts), [
    'accepted',
    'address UNREGISTERED',
    'address INVALID_TOKEN',
    'address SENDER_ID_MISMATCH',
    /^message an address of kind email/,
    'message EXPIRED',
    /^message .*string/,
    'message PAYLOAD_TOO_LARGE',
    'accepted',
  ])
})

t.test('what the app alone is to get shows nothing', async (t) => {
  const to = toPhone()
  const messages = [
    { silent: true, data: { sync: '1' } },
    { dataOnly: true, title: 'Drawn by the app' },
    { clear: 'an-earlier-one' },
  ]
  for (const message of messages) t.same(words(await send(outgoing(to, message))), ['accepted'])
  t.match(shownTo(to.token), [
    { silent: true, raw: { data: { sync: '1' } } },
    { raw: { data: { title: 'Drawn by the app' }, notification: undefined } },
    { silent: true, raw: { data: { clear: 'an-earlier-one' } } },
  ])
})

t.test('a Live Activity goes to its own token, and not without what starts it', async (t) => {
  const { token } = toPhone()
  const to = { kind: 'fcm-live-activity' as const, token, activityToken: 'ab'.repeat(40) }
  const update = { event: 'update', contentState: { minutes: 4 } } as const
  const verdicts = await send(
    outgoing(to, { liveActivity: update }),
    outgoing(to, { liveActivity: { ...update, event: 'start' } }),
    outgoing(to),
  )
  t.same(words(verdicts), ['accepted', 'message LIVE_ACTIVITY_INCOMPLETE', 'message LIVE_ACTIVITY_MISSING'])
  const apns = { live_activity_token: to.activityToken, payload: { aps: { event: 'update' } } }
  t.match(shownTo(token), [{ raw: { apns } }])
})

t.test(
  'asks for redelivery after the time that the answer names, and after a minute when a quota names none',
  async (t) => {
    const quota = { error: { status: 'RESOURCE_EXHAUSTED', details: [{ errorCode: 'QUOTA_EXCEEDED' }] } }
    fcm.faults.rules.push({ times: 1, reply: fault(429, quota, { 'retry-after': '37' }) })
    t.same(await send(outgoing(toPhone())), [{ kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: 37_000 }])
    fcm.faults.rules.push({ times: 1, reply: fault(429, quota) })
    t.same(await send(outgoing(toPhone())), [{ kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: 60_000 }])
    fcm.faults.rules.push({ times: 1, reply: fault(503, '<html>', { 'retry-after': '90' }) })
    t.same(await send(outgoing(toPhone())), [{ kind: 'retry', reason: 'HTTP_503', afterMs: 90_000 }])
  },
)

t.test('tells those that a quota stopped from those that it let through', async (t) => {
  const to = toPhone()
  fcm.limits.devicePerMinute = 10
  t.teardown(() => {
    fcm.limits.devicePerMinute = undefined as never
  })
  const verdicts = await send(...times(30, () => outgoing(to)))
  const counts = kinds(verdicts)
  t.equal((counts.accepted ?? 0) + (counts.retry ?? 0), 30)
  t.equal(shownTo(to.token).length, counts.accepted)
  t.ok(verdicts.every((one) => one.kind === 'accepted' || (one.kind === 'retry' && (one.afterMs ?? 0) > 0)))
})

t.test('tries an outage once and leaves the rest to the caller', async (t) => {
  fcm.faults.break()
  const before = fcm.counters.sends
  t.same(words(await send(outgoing(toPhone()))), ['retry UNAVAILABLE'])
  t.equal(fcm.counters.sends, before + 1)
})

t.test('keeps for an offline phone what its collapse key leaves', async (t) => {
  const to = toPhone()
  fcm.setOnline(to.token, false)
  await send(outgoing(to, { title: '1', collapseKey: 'eta' }))
  await send(outgoing(to, { title: '2', collapseKey: 'eta' }))
  await send(outgoing(to, { title: '3' }))
  fcm.setOnline(to.token, true)
  t.same(
    shownTo(to.token).map((message) => message.title),
    ['2', '3'],
  )
})

t.test('a key that names one notification alone pushes nothing out of what waits for a phone', async (t) => {
  const to = toPhone()
  fcm.setOnline(to.token, false)
  const batch = times(6, () => outgoing(to)).map((one) => ({
    ...one,
    message: { ...one.message, collapseKey: one.notificationId },
  }))
  t.same(kinds(await send(...batch)), { accepted: 6 })
  fcm.setOnline(to.token, true)
  t.equal(shownTo(to.token).length, 6, 'FCM keeps four keys')
})

t.test('a repeated attempt replaces what the phone shows already', async (t) => {
  const to = toPhone()
  const one = outgoing(to)
  await send(one)
  await send({ ...one, attempt: 2 })
  t.equal(fcm.device(to.token)?.screen.length, 1)
})

t.test('topics', async (t) => {
  const manage = (action: 'subscribe' | 'unsubscribe', topic: string, tokens: string[]) =>
    sender.manageTopic?.({ action, topic, tokens }, never()) ?? []

  t.test('bring one message to everybody who subscribed', async (t) => {
    const [rain, both, none] = [toPhone(), toPhone(), toPhone()]
    t.same(kinds(await manage('subscribe', 'rain', [rain.token, both.token])), { accepted: 2 })
    t.same(kinds(await manage('subscribe', 'snow', [both.token])), { accepted: 1 })
    const condition = "'rain' in topics && !('snow' in topics)"
    const verdicts = await send(
      outgoing({ kind: 'fcm-topic', topic: 'rain' }, { title: 'Rain' }),
      outgoing({ kind: 'fcm-topic', condition }, { title: 'Rain alone' }),
    )
    t.same(words(verdicts), ['accepted', 'accepted'])
    const titles = (to: { token: string }) =>
      shownTo(to.token)
        .map(({ title }) => title)
        .sort()
    t.same([titles(rain), titles(both), titles(none)], [['Rain', 'Rain alone'], ['Rain'], []])
    t.same(kinds(await manage('unsubscribe', 'rain', [rain.token])), { accepted: 1 })
    await send(outgoing({ kind: 'fcm-topic', topic: 'rain' }, { title: 'More rain' }))
    t.equal(titles(rain).length, 2)
  })

  t.test('tell for each of thousands of tokens what came of it', async (t) => {
    const gone = fcm.registerDevice()
    gone.state = 'unregistered'
    const other = fcm.registerDevice()
    other.state = 'other-sender'
    const tokens = times(1200, () => toPhone().token)
    tokens[7] = gone.token
    tokens[1100] = other.token
    const { requests } = fcm.server.counters
    const verdicts = await manage('subscribe', 'rides', tokens)
    t.equal(fcm.server.counters.requests - requests, 2, 'a thousand in one request')
    t.same(kinds(verdicts), { accepted: 1198, address: 1, config: 1 })
    t.same(
      [verdicts[7], verdicts[1100]],
      [
        { kind: 'address', reason: 'UNREGISTERED' },
        { kind: 'config', reason: 'PERMISSION_DENIED' },
      ],
    )
  })

  t.test('are changed with a new access token when the old one was revoked', async (t) => {
    fcm.revokeTokens()
    t.same(kinds(await manage('subscribe', 'rides', [toPhone().token])), { accepted: 1 })
  })

  t.test('can be changed once more when nobody knows whether they were', async (t) => {
    fcm.faults.latencyMs = 2000
    const { requests } = fcm.server.counters
    const verdicts = manage('subscribe', 'rides', [toPhone().token, toPhone().token])
    await until(() => fcm.server.counters.requests > requests)
    fcm.server.cut('rst')
    t.same(kinds(await verdicts), { retry: 2 })
  })

  t.test('clip to half of what a device gets, and refuse what Google would', async (t) => {
    const topic = { kind: 'fcm-topic', topic: 'rain' } as const
    const six = times(6, (index) => `'t${index}' in topics`).join(' || ')
    const verdicts = await send(
      outgoing(topic, { body: 'long '.repeat(2000) }),
      outgoing({ kind: 'fcm-topic', condition: six }),
      outgoing({ kind: 'fcm-topic', topic: 'not a topic' }),
      outgoing({ kind: 'fcm-topic', condition: 'nonsense' }),
    )
    t.match(words(verdicts), [
      'accepted',
      'message TOO_MANY_TOPICS',
      /^message Malformed topic/,
      /^message INVALID_ARGUMENT: Invalid condition/,
    ])
    t.match(words(await manage('subscribe', 'not a topic', ['t'])), [/^message .*topic/i])
  })
})
