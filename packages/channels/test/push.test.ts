import { startSimulators } from '@carillon/simulators'
import t from 'tap'
import { createRegistry } from '../src/index.js'
import { never, outgoing, words } from './fixtures.js'

const simulators = await startSimulators({ allow: 'development' })
const timeouts = { connectMs: 2000, requestMs: 700, batchMs: 5000 }
const registry = createRegistry({ settings: { ...simulators.settingsForChannels, timeouts } })
t.teardown(async () => {
  await registry[Symbol.asyncDispose]()
  await simulators[Symbol.asyncDispose]()
})
const { fcm, apns, webpush, inbox } = simulators
const toFcm = () => ({ kind: 'fcm' as const, token: fcm.registerDevice().token })
const toApns = () => ({ kind: 'apns' as const, token: apns.registerDevice().token })
const toBrowser = () => {
  const { endpoint, keys } = webpush.registerDevice().subscription
  return { kind: 'webpush' as const, endpoint, ...keys }
}
const fault = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  body,
  headers,
})
const shownTo = (to: string) => inbox.list().filter((message) => message.to === to)

t.test('FCM', async (t) => {
  const sender = registry.open('fcm', 'fcm-1', simulators.credentials.fcm)
  const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
  t.beforeEach(() => fcm.faults.heal())

  t.test('shows a message on the phone with its ids and receipt token', async (t) => {
    const one = outgoing(toFcm(), {
      url: 'https://rides.example/1',
      actions: [{ id: 'call', title: 'Call' }],
    })
    const [verdict] = await send(one)
    t.equal(verdict?.kind, 'accepted')
    t.match(verdict, { providerId: /^projects\// })
    const shown = shownTo((one.address as { token: string }).token)
    t.match(shown, [
      {
        title: 'Your ride',
        nid: one.notificationId,
        did: one.deliveryId,
        rt: one.receiptToken,
        url: 'https://rides.example/1',
      },
    ])
    t.same(shown[0]?.actions, [{ id: 'call', title: 'Call' }])
  })

  t.test('gives each message of a batch its own verdict, in order', async (t) => {
    const gone = fcm.registerDevice()
    gone.state = 'unregistered'
    const other = fcm.registerDevice()
    other.state = 'other-sender'
    const verdicts = await send(
      outgoing(toFcm()),
      outgoing({ kind: 'fcm', token: gone.token }),
      outgoing({ kind: 'fcm', token: 'short' }),
      outgoing({ kind: 'fcm', token: other.token }),
      outgoing({ kind: 'email', email: 'a@b.example' }),
      outgoing(toFcm(), { expiresAt: Date.now() - 1 }),
      outgoing(toFcm(), { overrides: { fcm: { data: { n: 5 } } } }),
      outgoing(toFcm()),
    )
    t.match(words(verdicts), [
      'accepted',
      'address UNREGISTERED',
      'address INVALID_TOKEN',
      'address SENDER_ID_MISMATCH',
      /^message an address of kind email/,
      'message EXPIRED',
      /^message .*string/,
      'accepted',
    ])
  })

  t.test(
    'asks for redelivery after the time the quota answer names, and after a minute when it names none',
    async (t) => {
      const quota = { error: { status: 'RESOURCE_EXHAUSTED', details: [{ errorCode: 'QUOTA_EXCEEDED' }] } }
      fcm.faults.rules.push({ times: 1, reply: fault(429, quota, { 'retry-after': '37' }) })
      t.same(await send(outgoing(toFcm())), [{ kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: 37_000 }])
      fcm.faults.rules.push({ times: 1, reply: fault(429, quota) })
      t.same(await send(outgoing(toFcm())), [{ kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: 60_000 }])
    },
  )

  t.test('tries an outage once and leaves the rest to the caller', async (t) => {
    fcm.faults.break()
    const before = fcm.counters.sends
    t.same(words(await send(outgoing(toFcm()))), ['retry UNAVAILABLE'])
    t.equal(fcm.counters.sends, before + 1)
  })

  t.test('gets a new access token when the old one was revoked, within the same send', async (t) => {
    const issued = fcm.counters.tokensIssued
    fcm.revokeTokens()
    t.same(words(await send(outgoing(toFcm()), outgoing(toFcm()), outgoing(toFcm()))), [
      'accepted',
      'accepted',
      'accepted',
    ])
    t.equal(fcm.counters.tokensIssued, issued + 1)
  })

  t.test('says unknown for a message without an answer and settles the others', async (t) => {
    const silent = toFcm()
    fcm.faults.rules.push({ match: (token: string) => token === silent.token, reply: 'hang' })
    const started = Date.now()
    t.same(words(await send(outgoing(toFcm()), outgoing(silent), outgoing(toFcm()))), [
      'accepted',
      'unknown TIMEOUT',
      'accepted',
    ])
    t.ok(Date.now() - started < 3000)
  })

  t.test('settles every message when the peer vanishes, and goes on afterwards', async (t) => {
    for (const how of ['fin', 'rst'] as const) {
      fcm.faults.rules.push({ reply: 'hang' })
      const sends = fcm.counters.sends
      const verdicts = send(...Array.from({ length: 20 }, () => outgoing(toFcm())))
      await until(() => fcm.counters.sends === sends + 20)
      fcm.server.cut(how)
      t.ok((await verdicts).every(({ kind }) => kind === 'unknown'))
      fcm.faults.heal()
      t.same(words(await send(outgoing(toFcm()))), ['accepted'])
    }
  })

  t.test('loses nothing to a graceful GOAWAY', async (t) => {
    fcm.faults.rules.push({ times: 1, reply: 'goaway' })
    const verdicts = await send(...Array.from({ length: 50 }, () => outgoing(toFcm())))
    t.ok(verdicts.every(({ kind }) => kind === 'accepted' || kind === 'retry'))
    t.same(words(await send(outgoing(toFcm()))), ['accepted'])
  })

  t.test('calls a refused stream safe to repeat', async (t) => {
    fcm.faults.rules.push({ times: 1, reply: 'refuse' })
    t.same(words(await send(outgoing(toFcm()))), ['retry REFUSED_STREAM'])
  })

  t.test('blames the credentials when the service account is not known', async (t) => {
    const foreign = await startSimulators({ allow: 'development' })
    t.teardown(() => foreign[Symbol.asyncDispose]())
    const wrong = registry.open('fcm', 'fcm-wrong', foreign.credentials.fcm)
    t.same(words(await wrong.send([outgoing(toFcm())], never())), ['config INVALID_CREDENTIAL'])
  })

  t.test('keeps for an offline phone what its collapse key leaves', async (t) => {
    const to = toFcm()
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
})

t.test('APNs', async (t) => {
  const sender = registry.open('apns', 'apns-1', simulators.credentials.apns)
  const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
  t.beforeEach(() => apns.faults.heal())

  t.test('warms each session up with one stream, then fans out, all with one token', async (t) => {
    const verdicts = await send(...Array.from({ length: 300 }, () => outgoing(toApns())))
    t.ok(
      verdicts.every(({ kind }) => kind === 'accepted'),
      JSON.stringify(verdicts.find(({ kind }) => kind !== 'accepted')),
    )
    t.equal(apns.counters.jwts.size, 1)
    t.ok(apns.server.counters.sessions <= 2)
  })

  t.test('shows a message on the phone with its ids and receipt token', async (t) => {
    const to = toApns()
    const one = outgoing(to, {
      subtitle: 'Ana',
      imageUrl: 'https://img.example/a.png',
      collapseKey: 'k'.repeat(80),
    })
    t.equal((await send(one))[0]?.kind, 'accepted')
    t.match(shownTo(to.token), [
      {
        title: 'Your ride',
        subtitle: 'Ana',
        nid: one.notificationId,
        did: one.deliveryId,
        rt: one.receiptToken,
      },
    ])
  })

  t.test('tells dead tokens apart from the rest, with the time Apple names', async (t) => {
    const gone = apns.registerDevice()
    apns.unregister(gone.token, 1_700_000_000_000)
    const production = apns.registerDevice({ environment: 'production' })
    const verdicts = await send(
      outgoing({ kind: 'apns', token: gone.token }),
      outgoing({ kind: 'apns', token: 'ab'.repeat(32) }),
      outgoing({ kind: 'apns', token: '../../x' }),
      outgoing({ kind: 'apns', token: production.token, environment: 'production' }),
      outgoing(toApns(), { silent: true }),
    )
    t.same(words(verdicts), [
      'address Unregistered',
      'address BadDeviceToken',
      'address BadDeviceToken',
      'accepted',
      'accepted',
    ])
    t.match(verdicts[0], { at: 1_700_000_000_000 })
  })

  t.test('asks once and keeps Retry-After', async (t) => {
    const before = apns.counters.sends
    apns.faults.rules.push({
      times: 1,
      reply: fault(429, { reason: 'TooManyRequests' }, { 'retry-after': '41' }),
    })
    t.same(await send(outgoing(toApns())), [{ kind: 'retry', reason: 'TooManyRequests', afterMs: 41_000 }])
    apns.faults.rules.push({ times: 1, reply: fault(500, { reason: 'InternalServerError' }) })
    t.same(words(await send(outgoing(toApns()))), ['retry InternalServerError'])
    apns.faults.rules.push({ times: 1, reply: fault(403, { reason: 'InvalidProviderToken' }) })
    t.same(words(await send(outgoing(toApns()))), ['config InvalidProviderToken'])
    apns.faults.rules.push({ times: 1, reply: fault(413, { reason: 'PayloadTooLarge' }) })
    t.same(words(await send(outgoing(toApns()))), ['message PayloadTooLarge'])
    t.equal(apns.counters.sends, before + 4)
  })

  t.test('finishes what is in flight when the session goes away gracefully', async (t) => {
    await send(outgoing(toApns()), outgoing(toApns()))
    apns.faults.rules.push({ times: 20, reply: { latencyMs: 200 } })
    const sends = apns.counters.sends
    const verdicts = send(...Array.from({ length: 20 }, () => outgoing(toApns())))
    await until(() => apns.counters.sends === sends + 20)
    apns.server.goAway()
    t.ok((await verdicts).every(({ kind }) => kind === 'accepted'))
    t.same(words(await send(outgoing(toApns()))), ['accepted'])
  })

  t.test('opens a new session after the old one stopped answering', async (t) => {
    apns.faults.rules.push({ reply: 'hang' })
    const stuck = await send(...Array.from({ length: 8 }, () => outgoing(toApns())))
    t.ok(stuck.every(({ kind }) => kind === 'unknown' || kind === 'retry'))
    apns.faults.heal()
    t.same(words(await send(outgoing(toApns()))), ['accepted'])
  })

  t.test('settles every message when the peer vanishes', async (t) => {
    apns.faults.rules.push({ reply: 'hang' })
    const sends = apns.counters.sends
    const verdicts = send(...Array.from({ length: 5 }, () => outgoing(toApns())))
    await until(() => apns.counters.sends > sends)
    apns.server.cut('rst')
    t.ok((await verdicts).every(({ kind }) => kind === 'unknown' || kind === 'retry'))
    apns.faults.heal()
    t.same(words(await send(outgoing(toApns()))), ['accepted'])
  })

  t.test('keeps one notification for an offline phone', async (t) => {
    const to = toApns()
    apns.setOnline(to.token, false)
    await send(outgoing(to, { title: '1' }))
    await send(outgoing(to, { title: '2' }))
    apns.setOnline(to.token, true)
    t.same(
      shownTo(to.token).map((message) => message.title),
      ['2'],
    )
  })
})

t.test('Web Push', async (t) => {
  const sender = registry.open('webpush', 'webpush-1', simulators.credentials.webpush)
  const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
  t.beforeEach(() => webpush.faults.heal())

  t.test('is decrypted by the browser, signed once for many', async (t) => {
    const device = webpush.registerDevice()
    const { endpoint, keys } = device.subscription
    const one = outgoing({ kind: 'webpush', endpoint, ...keys }, { body: 'Zażółć 🚀', collapseKey: 'eta' })
    const verdicts = await send(one, outgoing(toBrowser()), outgoing(toBrowser()))
    t.ok(verdicts.every(({ kind }) => kind === 'accepted'))
    t.match(shownTo(device.id), [{ body: 'Zażółć 🚀', nid: one.notificationId, rt: one.receiptToken }])
    t.equal(webpush.counters.jwts.size, 1)
  })

  t.test('tells a dead subscription from a wrong key, a big message and an outage', async (t) => {
    const gone = webpush.registerDevice()
    gone.state = 'gone'
    const address = (device: typeof gone) => ({
      kind: 'webpush' as const,
      endpoint: device.subscription.endpoint,
      ...device.subscription.keys,
    })
    const foreign = webpush.registerDevice({ applicationServerKey: `B${'A'.repeat(86)}` })
    const verdicts = await send(
      outgoing(address(gone)),
      outgoing({ ...toBrowser(), endpoint: `${webpush.origin}/push/none` }),
      outgoing(address(foreign)),
      outgoing({ ...toBrowser(), p256dh: 'AAAA' }),
      outgoing(toBrowser(), { silent: true }),
      outgoing(toBrowser(), { body: 'long '.repeat(3000) }),
    )
    t.same(words(verdicts), [
      'address GONE',
      'address NOT_FOUND',
      'address VAPID_MISMATCH',
      'address INVALID_KEYS',
      'message SILENT_NOT_POSSIBLE: this channel shows every message, and this one has nothing to show',
      'accepted',
    ])
    webpush.faults.rules.push({ times: 1, reply: fault(429, 'slow down', { 'retry-after': '17' }) })
    t.same(await send(outgoing(toBrowser())), [
      { kind: 'retry', reason: 'TOO_MANY_REQUESTS', afterMs: 17_000 },
    ])
    webpush.faults.rules.push({ times: 1, reply: fault(413, '') })
    t.same(words(await send(outgoing(toBrowser()))), ['message PAYLOAD_TOO_LARGE'])
    webpush.faults.rules.push({ times: 1, reply: fault(403, 'invalid VAPID signature') })
    t.same(words(await send(outgoing(toBrowser()))), ['config VAPID_REFUSED_403'])
    webpush.faults.rules.push({ times: 1, reply: 'hang' })
    t.same(words(await send(outgoing(toBrowser()))), ['unknown TIMEOUT'])
    webpush.faults.rules.push({ times: 1, reply: 'reset' })
    t.match(words(await send(outgoing(toBrowser()))), [/^unknown /])
  })

  t.test(
    'signs for another service with an audience of its own: a wrong pair of keys is the configuration',
    async (t) => {
      const { generateVAPIDKeys } = (await import('web-push')).default
      const wrong = registry.open('webpush', 'webpush-wrong', {
        subject: 'mailto:a@b.example',
        ...generateVAPIDKeys(),
      })
      t.same(words(await wrong.send([outgoing(toBrowser())], never())), ['address VAPID_MISMATCH'])
    },
  )

  t.test('refuses endpoints that are no push service before anything is sent', async (t) => {
    const strict = createRegistry({ settings: { ca: simulators.ca, timeouts } })
    t.teardown(() => strict[Symbol.asyncDispose]())
    const guarded = strict.open('webpush', 'w', simulators.credentials.webpush)
    const pushes = webpush.counters.pushes
    const at = (endpoint: string) => outgoing({ ...toBrowser(), endpoint })
    const verdicts = await guarded.send(
      [
        at(`${webpush.origin}/push/x`),
        at('http://fcm.googleapis.com/fcm/send/x'),
        at('https://evil.example/push'),
        at('https://fcm.googleapis.com:8443/x'),
        at('https://fcm.googleapis.com.evil.example/x'),
        at('https://user@fcm.googleapis.com/x'),
        at('not a url'),
      ],
      never(),
    )
    t.same([...new Set(words(verdicts))], ['address ENDPOINT_REFUSED'])
    t.equal(webpush.counters.pushes, pushes)
  })

  t.test('keeps for an offline browser one message per topic', async (t) => {
    const device = webpush.registerDevice()
    const to = {
      kind: 'webpush' as const,
      endpoint: device.subscription.endpoint,
      ...device.subscription.keys,
    }
    webpush.setOnline(device.id, false)
    await send(outgoing(to, { title: '1', collapseKey: 'eta' }))
    await send(outgoing(to, { title: '2', collapseKey: 'eta' }))
    await send(outgoing(to, { title: '3', ttlSeconds: 0 }))
    webpush.setOnline(device.id, true)
    t.same(
      shownTo(device.id).map((message) => message.title),
      ['2'],
    )
  })
})

t.test('a provider that can not be reached or is not who it says is safe to try again', async (t) => {
  const { ca: _none, ...settings } = simulators.settingsForChannels
  const away = await startSimulators({ allow: 'development' })
  await away[Symbol.asyncDispose]()
  const cases = {
    untrusted: { ...settings, timeouts },
    'not there': { ...away.settingsForChannels, timeouts },
  }
  for (const [name, reach] of Object.entries(cases)) {
    const other = createRegistry({ settings: reach })
    t.teardown(() => other[Symbol.asyncDispose]())
    const tokenless = createRegistry({
      settings: { ...reach, ca: simulators.ca, endpoints: { ...reach.endpoints, fcmToken: fcm.tokenUrl } },
    })
    t.teardown(() => tokenless[Symbol.asyncDispose]())
    const to = (
      registry: typeof other,
      provider: 'fcm' | 'apns' | 'webpush',
      address: Parameters<typeof outgoing>[0],
    ) => registry.open(provider, 'x', simulators.credentials[provider]).send([outgoing(address)], never())
    t.match(
      await to(other, 'fcm', toFcm()),
      [{ kind: 'retry', reason: 'OAUTH_UNREACHABLE' }],
      `${name}: OAuth`,
    )
    t.match(await to(other, 'apns', toApns()), [{ kind: 'retry' }], `${name}: APNs`)
    if (name === 'untrusted')
      t.match(await to(other, 'webpush', toBrowser()), [{ kind: 'retry' }], `${name}: Web Push`)
    else
      t.match(
        await to(tokenless, 'fcm', toFcm()),
        [{ kind: 'retry', reason: 'ECONNREFUSED' }],
        `${name}: FCM`,
      )
  }
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition never came true')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
