import { createECDH } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import webpush from 'web-push'
import { type Address, createRegistry, openSender, type Verdict } from '../src/index.js'
import { HASTY, kinds, NOBODY, never, openWorld, outgoing, PATIENT, times, until, words } from './fixtures.js'

const { simulators, settings, registry, shownTo, close } = await openWorld()
t.teardown(close)
const service = simulators.webpush
const sender = registry.open('webpush', 'webpush-1', simulators.credentials.webpush)
const hasty = openSender('webpush', simulators.credentials.webpush, { ...settings, timeouts: HASTY })
t.teardown(() => hasty[Symbol.asyncDispose]())
const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
type Device = ReturnType<typeof service.registerDevice>
const addressOf = ({ subscription }: Device) => ({
  kind: 'webpush' as const,
  endpoint: subscription.endpoint,
  ...subscription.keys,
})
const toBrowser = () => addressOf(service.registerDevice())
const fault = (status: number, body: string, headers: Record<string, string> = {}) => ({
  status,
  body,
  headers,
})
t.beforeEach(() => service.faults.heal())

t.test('is decrypted by the browser with its ids and receipt token', async (t) => {
  const device = service.registerDevice()
  const one = outgoing(addressOf(device), { body: 'Zażółć 🚀', collapseKey: 'eta' })
  t.match(await send(one), [{ kind: 'accepted', providerId: /^https:/ }])
  t.match(shownTo(device.id), [{ body: 'Zażółć 🚀', nid: one.notificationId, rt: one.receiptToken }])
})

t.test('signs once for a service, and keeps its connections', async (t) => {
  const { connections } = service.server.counters
  t.same(kinds(await send(...times(600, () => outgoing(toBrowser())))), { accepted: 600 })
  t.equal(service.counters.jwts.size, 1)
  t.ok(service.server.counters.connections - connections <= 8)
  t.ok(service.server.counters.maxOpenStreams > 1, 'side by side on one connection')
})

t.test('serves as well a push service that knows HTTP/1.1 alone', async (t) => {
  service.server.http1Only = true
  t.teardown(() => {
    service.server.http1Only = false
  })
  await using plain = openSender('webpush', simulators.credentials.webpush, settings)
  const { counters } = service.server
  const { sessions, connections } = counters
  const browsers = times(40, () => service.registerDevice())
  const batch = browsers.map((device) => outgoing(addressOf(device)))
  t.same(kinds(await plain.send(batch, never())), { accepted: 40 })
  t.ok(browsers.every(({ received }) => received === 1))
  const asked = counters.connections - connections
  t.ok(asked <= 8 + 40, `${asked} connections`)
  t.same(kinds(await plain.send(batch, never())), { accepted: 40 })
  t.ok(counters.connections - connections < asked + 8, 'kept, and HTTP/2 is not asked for again')
  t.equal(counters.sessions, sessions)
  service.faults.rules.push({ times: 1, reply: fault(429, 'slow down', { 'retry-after': '17' }) })
  const later: Verdict = { kind: 'retry', reason: 'TOO_MANY_REQUESTS', afterMs: 17_000 }
  t.same(await plain.send([outgoing(toBrowser())], never()), [later])
  for (const reply of ['reset', 'fin', 'refuse'] as const) {
    service.faults.heal()
    service.faults.rules.push({ times: 1, reply })
    t.match(words(await plain.send([outgoing(toBrowser())], never())), [/^unknown /], reply)
    t.same(words(await plain.send([outgoing(toBrowser())], never())), ['accepted'])
  }
})

t.test('cuts nothing that is under way when a later connection gets HTTP/1.1 alone', async (t) => {
  await using mixed = openSender('webpush', simulators.credentials.webpush, settings)
  t.same(words(await mixed.send([outgoing(toBrowser())], never())), ['accepted'])
  service.server.http1Only = true
  t.teardown(() => {
    service.server.http1Only = false
  })
  service.faults.rules.push({ reply: { latencyMs: 200 } })
  const browsers = times(130, () => service.registerDevice())
  const batch = browsers.map((device) => outgoing(addressOf(device)))
  t.same(kinds(await mixed.send(batch, never())), { accepted: 130 })
  t.ok(browsers.every(({ received }) => received === 1))
})

t.test('cuts nothing that is under way when who is being left comes back with HTTP/1.1 alone', async (t) => {
  await using mixed = openSender('webpush', simulators.credentials.webpush, settings)
  t.same(words(await mixed.send([outgoing(toBrowser())], never())), ['accepted'])
  const held = times(60, () => service.registerDevice())
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const { take } = service.faults
  t.teardown(() => {
    service.faults.take = take
    service.server.http1Only = false
  })
  const waiting = new Set<string>()
  service.faults.take = async (target) => {
    if (held.some(({ id }) => id === target)) {
      waiting.add(target)
      await released
    }
    return take(target)
  }
  const under = mixed.send(
    held.map((device) => outgoing(addressOf(device))),
    never(),
  )
  await until(() => waiting.size === 60)
  service.server.http1Only = true
  service.server.goAway()
  let verdict = ''
  // refused as long as the client has not heard that it is to leave
  do verdict = words(await mixed.send([outgoing(toBrowser())], never())).join()
  while (verdict.startsWith('retry'))
  t.equal(verdict, 'accepted')
  release()
  t.same(kinds(await under), { accepted: 60 })
  t.ok(held.every(({ received }) => received === 1))
})

/** A push service that does what it is told with each stream. */
async function openService(t: Test, answer: (stream: ServerHttp2Stream, socket: Socket) => void) {
  const server = createSecureServer(simulators.save().authority.identity)
  const ignore = () => undefined
  let socket: Socket | undefined
  server.on('connection', (opened: Socket) => {
    socket = opened.on('error', ignore)
  })
  server.on('session', (session) => session.on('error', ignore))
  server.on('sessionError', ignore)
  server.on('stream', (stream) => {
    stream.on('error', ignore)
    if (socket) answer(stream, socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const at = (port: number) => outgoing({ ...toBrowser(), endpoint: `https://127.0.0.1:${port}/push/x` })

t.test(
  'goes by what of an answer came: the status when it breaks off, the beginning when it is long',
  async (t) => {
    const broken = await openService(t, (stream, socket) => {
      stream.respond({ ':status': 201, location: 'https://push.example/m/1' })
      // its echo comes after the client has read the status
      stream.session?.ping(() => socket.resetAndDestroy())
    })
    const wordy = await openService(t, (stream) => {
      stream.respond({ ':status': 403 })
      stream.end(`VapidPkHashMismatch${' '.repeat(6000)}`)
    })
    await using other = openSender('webpush', simulators.credentials.webpush, settings)
    t.same(await other.send([at(broken), at(wordy)], never()), [
      { kind: 'accepted', providerId: 'https://push.example/m/1' },
      { kind: 'address', reason: 'VAPID_MISMATCH' },
    ])
  },
)

t.test('is disposed of although a service that went silent never says goodbye', async (t) => {
  const port = await openService(t, (stream) => stream.respond({ ':status': 201 }, { endStream: true }))
  let silent = false
  const sockets: Socket[] = []
  const between = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(port, '127.0.0.1')
    sockets.push(near, far)
    near.on('data', (part) => silent || far.write(part))
    far.on('data', (part) => silent || near.write(part))
  })
  between.listen(0, '127.0.0.1')
  await once(between, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    between.close()
  })
  const lone = openSender('webpush', simulators.credentials.webpush, { ...settings, timeouts: HASTY })
  const through = (between.address() as AddressInfo).port
  t.same(words(await lone.send([at(through)], never())), ['accepted'])
  silent = true
  t.same(words(await lone.send([at(through)], never())), ['unknown TIMEOUT'])
  await lone[Symbol.asyncDispose]()
})

t.test('tells a dead subscription from a wrong key, a big message and one that shows nothing', async (t) => {
  const gone = service.registerDevice()
  service.unregister(gone.id)
  const foreign = service.registerDevice({ applicationServerKey: `B${'A'.repeat(86)}` })
  const pair = createECDH('prime256v1')
  pair.generateKeys()
  const offCurve = pair.getPublicKey()
  offCurve.writeUInt8(offCurve.readUInt8(64) ^ 1, 64)
  const nothing = /^message SILENT_NOT_POSSIBLE: /
  const verdicts = await send(
    outgoing(addressOf(gone)),
    outgoing({ ...toBrowser(), endpoint: `${service.origin}/push/none` }),
    outgoing(addressOf(foreign)),
    outgoing({ ...toBrowser(), p256dh: 'AAAA' }),
    outgoing({ ...toBrowser(), p256dh: offCurve.toString('base64url') }),
    outgoing({ ...toBrowser(), auth: 'AAAA' }),
    outgoing(toBrowser(), { silent: true }),
    outgoing(toBrowser(), { clear: 'an-earlier-one' }),
    outgoing(toBrowser(), { dataOnly: true, title: '', body: '' }),
    outgoing(toBrowser(), { title: '', body: '' }),
    outgoing(toBrowser(), { dataOnly: true }),
    outgoing(toBrowser(), { body: 'long '.repeat(3000) }),
    outgoing(toBrowser(), { url: `https://a.example/${'x'.repeat(5000)}` }),
  )
  t.match(words(verdicts), [
    'address GONE',
    'address NOT_FOUND',
    'address VAPID_MISMATCH',
    'address INVALID_KEYS',
    'address INVALID_KEYS',
    'address INVALID_KEYS',
    nothing,
    nothing,
    nothing,
    nothing,
    'accepted',
    'accepted',
    'message PAYLOAD_TOO_LARGE',
  ])
})

t.test('makes a title of the words where there is none, since a browser wants one', async (t) => {
  const device = service.registerDevice()
  t.same(words(await send(outgoing(addressOf(device), { title: '', body: 'Ana is here' }))), ['accepted'])
  t.match(shownTo(device.id), [{ title: 'Ana is here', body: '' }])
})

t.test('asks once and keeps Retry-After', async (t) => {
  const { pushes } = service.counters
  service.faults.rules.push({ times: 1, reply: fault(429, 'slow down', { 'retry-after': '17' }) })
  t.same(await send(outgoing(toBrowser())), [{ kind: 'retry', reason: 'TOO_MANY_REQUESTS', afterMs: 17_000 }])
  const answers = [
    [fault(503, ''), 'retry HTTP_503'],
    [fault(413, ''), 'message PAYLOAD_TOO_LARGE'],
    [fault(403, 'invalid VAPID signature'), 'config VAPID_REFUSED_403'],
    [fault(302, '', { location: 'https://evil.example/' }), 'address REDIRECTED'],
  ] as const
  for (const [reply, word] of answers) {
    service.faults.rules.push({ times: 1, reply })
    t.same(words(await send(outgoing(toBrowser()))), [word])
  }
  t.equal(service.counters.pushes, pushes + 5)
})

t.test('goes once more without its topic where only that is refused', async (t) => {
  const device = service.registerDevice()
  const refused = fault(400, '{"reason":"BadWebPushTopic"}')
  service.faults.rules.push({ times: 1, reply: refused })
  const { pushes } = service.counters
  t.same(words(await send(outgoing(addressOf(device), { collapseKey: 'eta' }))), ['accepted'])
  t.equal(service.counters.pushes, pushes + 2)
  t.equal(shownTo(device.id)[0]?.collapseKey, undefined)
  service.faults.rules.push({ reply: refused })
  t.same(words(await send(outgoing(addressOf(device), { collapseKey: 'eta' }))), ['message HTTP_400'])
  t.equal(service.counters.pushes, pushes + 4, 'once, and not again')
})

t.test('says unknown when there is no answer, and settles the others', async (t) => {
  const silent = service.registerDevice()
  service.faults.rules.push({ match: { target: silent.id }, reply: 'hang' })
  const batch = [outgoing(toBrowser()), outgoing(addressOf(silent)), outgoing(toBrowser())]
  t.same(words(await hasty.send(batch, never())), ['accepted', 'unknown TIMEOUT', 'accepted'])
  for (const reply of ['reset', 'fin', 'refuse'] as const) {
    service.faults.heal()
    service.faults.rules.push({ times: 1, reply })
    // a stream that was refused was not processed (RFC 9113, 8.7)
    const expected = reply === 'refuse' ? 'retry REFUSED_STREAM' : /^unknown /
    t.match(words(await send(outgoing(toBrowser()))), [expected], reply)
    t.same(words(await send(outgoing(toBrowser()))), ['accepted'])
  }
})

t.test('loses nothing and shows nothing twice when connections go away under 300 messages', async (t) => {
  service.faults.rules.push({ reply: { latencyMs: 150 } })
  const browsers = times(300, () => service.registerDevice())
  const { pushes } = service.counters
  const under = send(...browsers.map((device) => outgoing(addressOf(device))))
  await until(() => service.counters.pushes > pushes + 100)
  service.server.goAway()
  const verdicts = await under
  const counts = kinds(verdicts)
  t.equal((counts.accepted ?? 0) + (counts.retry ?? 0), 300, JSON.stringify(counts))
  t.same(
    browsers.map(({ received }) => received),
    verdicts.map(({ kind }) => (kind === 'accepted' ? 1 : 0)),
    'accepted is exactly what arrived',
  )
})

t.test('a pair of keys that nobody subscribed with is the fault of the subscriptions', async (t) => {
  const pair = { subject: 'mailto:a@b.example', ...webpush.generateVAPIDKeys() }
  const wrong = registry.open('webpush', 'webpush-wrong', pair)
  t.same(words(await wrong.send([outgoing(toBrowser())], never())), ['address VAPID_MISMATCH'])
})

t.test('refuses endpoints that are no push service before anything is sent', async (t) => {
  const strict = createRegistry({ settings: { ca: simulators.ca, timeouts: HASTY } })
  t.teardown(() => strict[Symbol.asyncDispose]())
  const guarded = strict.open('webpush', 'w', simulators.credentials.webpush)
  const { pushes } = service.counters
  const endpoints = [
    `${service.origin}/push/x`,
    'http://fcm.googleapis.com/fcm/send/x',
    'https://evil.example/push',
    'https://fcm.googleapis.com:8443/x',
    'https://fcm.googleapis.com.evil.example/x',
    'https://user@fcm.googleapis.com/x',
    'not a url',
  ]
  const batch = endpoints.map((endpoint) => outgoing({ ...toBrowser(), endpoint }))
  t.same([...new Set(words(await guarded.send(batch, never())))], ['address ENDPOINT_REFUSED'])
  // a name is known by where it leads, when it is dialled
  const { connections } = service.server.counters
  const { allowPrivateEgress: _allowed, ...reach } = settings
  const named = openSender('webpush', simulators.credentials.webpush, {
    ...reach,
    webPushHosts: ['localhost'],
  })
  t.teardown(() => named[Symbol.asyncDispose]())
  const local = outgoing({ ...toBrowser(), endpoint: `https://localhost:${service.port}/push/x` })
  t.same(words(await named.send([local], never())), ['address ENDPOINT_REFUSED'])
  t.equal(service.server.counters.connections, connections)
  t.equal(service.counters.pushes, pushes)
})

t.test('keeps for an offline browser one message per topic', async (t) => {
  const device = service.registerDevice()
  const to = addressOf(device)
  service.setOnline(device.id, false)
  await send(outgoing(to, { title: '1', collapseKey: 'eta' }))
  await send(outgoing(to, { title: '2', collapseKey: 'eta' }))
  await send(outgoing(to, { title: '3', ttlSeconds: 0 }))
  service.setOnline(device.id, true)
  t.same(
    shownTo(device.id).map((message) => message.title),
    ['2'],
  )
})

t.test('a repeated attempt replaces what the browser shows already', async (t) => {
  const device = service.registerDevice()
  const one = outgoing(addressOf(device))
  await send(one)
  await send({ ...one, attempt: 2 })
  t.equal(service.device(device.id)?.screen.length, 1)
})

t.test('a provider that takes a connection and says nothing on it got no message', async (t) => {
  const mute = createServer(() => undefined)
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const dial = { host: '127.0.0.1', port: (mute.address() as AddressInfo).port }
  const muted = createRegistry({
    settings: {
      ...settings,
      timeouts: { connectMs: 500, requestMs: 500, batchMs: 10_000 },
      endpoints: { fcm: dial, apns: dial, fcmToken: simulators.fcm.tokenUrl },
    },
  })
  t.teardown(async () => {
    await muted[Symbol.asyncDispose]()
    mute.close()
  })
  const addresses: Record<'fcm' | 'apns' | 'webpush', Address> = {
    fcm: { kind: 'fcm', token: simulators.fcm.registerDevice().token },
    apns: { kind: 'apns', token: simulators.apns.registerDevice().token },
    webpush: { ...toBrowser(), endpoint: `https://127.0.0.1:${dial.port}/push/x` },
  }
  for (const provider of ['fcm', 'apns', 'webpush'] as const) {
    const opened = muted.open(provider, 'x', simulators.credentials[provider])
    const verdicts = await opened.send(
      times(3, () => outgoing(addresses[provider])),
      never(),
    )
    t.same(kinds(verdicts), { retry: 3 }, `${provider}: ${words(verdicts).join()}`)
  }
})

t.test('what is stopped before there is a connection was not sent', async (t) => {
  let connections = 0
  const mute = createServer(() => connections++)
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  await using waiting = openSender('webpush', simulators.credentials.webpush, settings)
  const stop = new AbortController()
  const batch = times(20, () => at((mute.address() as AddressInfo).port))
  const verdicts = waiting.send(batch, stop.signal)
  await until(() => connections === 8)
  stop.abort()
  t.same(kinds(await verdicts), { retry: 20 })
})

t.test('a provider that can not be reached or is not who it says is safe to try again', async (t) => {
  const { ca: _none, ...untrusting } = simulators.settingsForChannels
  const url = `https://${NOBODY.host}:${NOBODY.port}/token`
  const away = { fcm: NOBODY, apns: NOBODY, fcmToken: url }
  const toPhone: Address = { kind: 'fcm', token: simulators.fcm.registerDevice().token }
  const toIphone: Address = { kind: 'apns', token: simulators.apns.registerDevice().token }
  const fcmToken = simulators.fcm.tokenUrl
  const cases = {
    untrusted: { ...untrusting, timeouts: PATIENT },
    'not there': { ...settings, endpoints: away },
    'not there but for OAuth': { ...settings, endpoints: { ...away, fcmToken } },
  }
  for (const [name, reach] of Object.entries(cases)) {
    const other = createRegistry({ settings: reach })
    t.teardown(() => other[Symbol.asyncDispose]())
    const verdictOf = async (provider: 'fcm' | 'apns' | 'webpush', address: Address) => {
      const opened = other.open(provider, 'x', simulators.credentials[provider])
      return opened.send([outgoing(address)], never())
    }
    const reason = name.endsWith('OAuth') ? 'ECONNREFUSED' : 'OAUTH_UNREACHABLE'
    t.match(await verdictOf('fcm', toPhone), [{ kind: 'retry', reason }], `${name}: FCM`)
    t.match(await verdictOf('apns', toIphone), [{ kind: 'retry' }], `${name}: APNs`)
    if (name === 'untrusted') t.match(await verdictOf('webpush', toBrowser()), [{ kind: 'retry' }], name)
  }
})
