import { execFileSync } from 'node:child_process'
import { startSimulatorsProcess } from '@carillon/simulators'
import t from 'tap'
import { type Address, createRegistry, openSender, PROVIDERS, type Provider } from '../src/index.js'
import { HASTY, NOBODY, never, openWorld, outgoing, PATIENT, until, words } from './fixtures.js'

const { simulators, settings, registry, close } = await openWorld()
t.teardown(close)
const { webhook, inbox } = simulators

t.test('webhooks', async (t) => {
  const sender = registry.open('webhook', 'webhook-1', simulators.credentials.webhook)
  const to = (more: { url?: string; secrets?: string[]; event?: unknown } = {}) =>
    outgoing({ kind: 'webhook', url: webhook.url, secrets: [webhook.secret], ...more })
  const send = (...batch: ReturnType<typeof outgoing>[]) => sender.send(batch, never())
  t.beforeEach(() => webhook.faults.heal())

  t.test('are signed, also with two secrets during a rotation, under one id for every attempt', async (t) => {
    const one = to({
      secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`, webhook.secret],
      event: { type: 'ride.paid' },
    })
    t.same(words(await send(one)), ['accepted'])
    t.same(words(await send({ ...one, attempt: 2 })), ['accepted'])
    t.same(webhook.ids.slice(-2), [one.deliveryId, one.deliveryId])
    t.match(inbox.list().at(-1), {
      nid: one.notificationId,
      raw: { payload: { data: { event: { type: 'ride.paid' } } } },
    })
    t.equal(webhook.counters.refused, 0)
  })

  t.test('take only 2xx for delivered', async (t) => {
    const faults: [number, Record<string, string>, object][] = [
      [410, {}, { kind: 'address', reason: 'GONE' }],
      [
        302,
        { location: 'https://127.0.0.1:1/internal' },
        { kind: 'address', reason: 'REDIRECTED', suspend: true },
      ],
      [429, { 'retry-after': '12' }, { kind: 'retry', reason: 'HTTP_429', afterMs: 12_000 }],
      [
        503,
        { 'retry-after': new Date(Date.now() + 90_000).toUTCString() },
        { kind: 'retry', reason: 'HTTP_503' },
      ],
      [404, {}, { kind: 'retry', reason: 'HTTP_404' }],
      [413, {}, { kind: 'message', reason: 'PAYLOAD_TOO_LARGE' }],
      [500, {}, { kind: 'retry', reason: 'HTTP_500' }],
    ]
    for (const [status, headers, expected] of faults) {
      webhook.faults.rules.push({ times: 1, reply: { status, headers } })
      t.match(await send(to()), [expected])
    }
    await using hasty = openSender('webhook', {}, { ...settings, timeouts: HASTY })
    webhook.faults.rules.push({ times: 1, reply: 'hang' })
    t.same(words(await hasty.send([to()], never())), ['unknown TIMEOUT'])
    webhook.faults.rules.push({ times: 1, reply: { status: 200, body: 'x'.repeat(500_000) } })
    t.same(words(await send(to())), ['accepted'])
  })

  t.test('are never sent unsigned', async (t) => {
    const calls = webhook.counters.calls
    t.same(words(await send(to({ secrets: [] }), to({ secrets: ['whsec_'] }))), [
      'address SECRET_INVALID',
      'address SECRET_INVALID',
    ])
    t.equal(webhook.counters.calls, calls)
  })

  t.test('reach no private address, by number, by name or without TLS', async (t) => {
    const strict = createRegistry({ settings: { ca: simulators.ca, timeouts: PATIENT } })
    t.teardown(() => strict[Symbol.asyncDispose]())
    const guarded = strict.open('webhook', 'w', {})
    const { port } = webhook
    const calls = webhook.counters.calls
    const urls = [
      webhook.url,
      `https://localhost:${port}/hook`,
      `https://[::1]:${port}/`,
      `https://[::ffff:127.0.0.1]:${port}/`,
      `https://2130706433:${port}/`,
      `https://0x7f.1:${port}/`,
      'https://169.254.169.254/latest/meta-data',
      'https://100.64.0.1/',
      'https://10.0.0.1/',
      'http://example.com/',
      'https://user:pass@example.com/',
      'file:///etc/passwd',
    ]
    const verdicts = await guarded.send(
      urls.map((url) => to({ url })),
      never(),
    )
    t.same([...new Set(words(verdicts))], ['address URL_REFUSED'])
    t.equal(webhook.counters.calls, calls)
  })

  t.test(
    'are retried when nobody listens, when the certificate is not trusted and when the caller aborts',
    async (t) => {
      const away = `https://${NOBODY.host}:${NOBODY.port}/`
      t.same(words(await send(to({ url: away }))), ['retry ECONNREFUSED'])
      const { ca: _none, ...unsure } = settings
      const untrusting = createRegistry({ settings: unsure })
      t.teardown(() => untrusting[Symbol.asyncDispose]())
      t.match(words(await untrusting.open('webhook', 'w', {}).send([to()], never())), [/^retry /])
      t.same(words(await sender.send([to(), to()], AbortSignal.abort())), [
        'retry NOT_SENT',
        'retry NOT_SENT',
      ])
    },
  )
})

t.test('the registry', async (t) => {
  t.equal(
    registry.open('webhook', 'webhook-1', 'ignored'),
    registry.get('webhook', 'webhook-1'),
    'keeps an open sender',
  )
  await registry.close('webhook', 'webhook-1')
  t.equal(registry.get('webhook', 'webhook-1'), undefined, 'forgets a closed one')
  t.throws(() => registry.open('fcm', 'x', { project_id: 'p', private_key: 'secret-value' }), {
    code: 'CREDENTIALS_INVALID',
    message: /client_email.*private_key/,
  })
  t.throws(() => registry.open('apns', 'x', null), { code: 'CREDENTIALS_INVALID' })
  t.throws(
    () => registry.open('webpush', 'x', { subject: 'https://localhost', publicKey: 'a', privateKey: 'b' }),
    {
      message: /subject.*publicKey.*privateKey/,
    },
  )
  t.throws(() => registry.open('smtp', 'x', { host: 'h', from: 'Ana <a@b.example>' }), {
    code: 'CREDENTIALS_INVALID',
  })
  t.throws(() => registry.open('sms', 'x', { accountSid: 'AC1', authToken: 'secret-value' }), {
    code: 'CREDENTIALS_INVALID',
    message: /^(?!.*secret-value).*accountSid.*from/,
  })
  t.throws(() => registry.open('toString' as 'fcm', 'x', {}), { code: 'PROVIDER_UNKNOWN' })
})

t.test('a closed sender sends nothing and says so', async (t) => {
  const { fcm, apns, webpush } = simulators
  const { endpoint, keys } = webpush.registerDevice().subscription
  const addresses: Record<Provider, Address> = {
    fcm: { kind: 'fcm', token: fcm.registerDevice().token },
    apns: { kind: 'apns', token: apns.registerDevice().token },
    webpush: { kind: 'webpush', endpoint, ...keys },
    smtp: { kind: 'email', email: 'ana@mail.example' },
    sms: { kind: 'sms', phone: '+436601234567' },
    webhook: { kind: 'webhook', url: webhook.url, secrets: [webhook.secret] },
  }
  for (const provider of PROVIDERS) {
    const sender = registry.open(provider, 'closing', simulators.credentials[provider])
    const one = () => sender.send([outgoing(addresses[provider])], never())
    t.match(await one(), [{ kind: 'accepted' }], `${provider} open`)
    const last = one()
    await registry.close(provider, 'closing')
    t.match(await last, [{ kind: 'accepted' }], `${provider} finishes what is in flight`)
    const arrived = inbox.list().length
    t.match(await one(), [{ kind: 'retry' }], `${provider} closed`)
    t.equal(inbox.list().length, arrived)
    await sender[Symbol.asyncDispose]()
  }
})

t.test('what was answered while this process stood still was answered', async (t) => {
  await using elsewhere = await startSimulatorsProcess({ latencyMs: 200 })
  const { control, connection } = elsewhere
  const timeouts = { ...PATIENT, requestMs: 5000 }
  await using own = createRegistry({ settings: { ...connection.settingsForChannels, timeouts } })
  const { url, secret } = connection.webhook
  const addresses: Record<'fcm' | 'apns' | 'webhook', Address> = {
    fcm: { kind: 'fcm', token: (await control.registerDevice('fcm')).to },
    apns: { kind: 'apns', token: (await control.registerDevice('apns')).to },
    webhook: { kind: 'webhook', url, secrets: [secret] },
  }
  const all = ['fcm', 'apns', 'webhook'] as const
  const sendAll = () =>
    all.map((provider) =>
      own
        .open(provider, 'x', connection.credentials[provider])
        .send([outgoing(addresses[provider])], never()),
    )
  const accepted = all.map(() => 'accepted')
  t.same(words((await Promise.all(sendAll())).flat()), accepted)

  const before = await control.counters()
  const verdicts = sendAll()
  await until(async () => {
    const now = await control.counters()
    return all.every((provider) => now[provider].requests > before[provider].requests)
  })
  // nothing of this process goes on until each was answered and its time is over
  const script = `const all = ${JSON.stringify(all)}
    const over = Date.now() + ${timeouts.requestMs + 100}
    const answered = ({ byStatus }) => Object.values(byStatus).reduce((sum, count) => sum + count, 0)
    const before = ${JSON.stringify(before)}
    for (;;) {
      const now = await (await fetch('${connection.control}/counters')).json()
      if (Date.now() > over && all.every((one) => answered(now[one]) > answered(before[one]))) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }`
  execFileSync(process.execPath, ['--input-type=module', '-e', script])
  t.same(words((await Promise.all(verdicts)).flat()), accepted)
})
