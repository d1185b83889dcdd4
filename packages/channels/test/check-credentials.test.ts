import { createECDH, generateKeyPairSync } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { startSimulators } from '@carillon/simulators'
import t from 'tap'
import { type ChannelSettings, checkCredentials, openSender, PROVIDERS, type Provider } from '../src/index.js'
import { HASTY, NOBODY, never, PATIENT } from './fixtures.js'
import { to } from './mail-server.js'

const simulators = await startSimulators({ allow: 'development' })
t.teardown(() => simulators[Symbol.asyncDispose]())
const settings = { ...simulators.settingsForChannels, timeouts: PATIENT }
const check = (provider: Provider, more: object = {}, at: object = {}) => {
  const credentials = { ...(simulators.credentials[provider] as object), ...more }
  return checkCredentials(provider, credentials, { ...settings, ...at }, never())
}
const ASKED = ['fcm', 'apns', 'smtp', 'sms'] as const
const ecKey = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey
const rsaKey = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey
const vapid = () => {
  const pair = createECDH('prime256v1')
  pair.generateKeys()
  // of 256 keys one begins with a zero, which is left away
  const privateKey = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32)
  return { publicKey: pair.getPublicKey('base64url'), privateKey: privateKey.toString('base64url') }
}

t.test('good credentials are let in wherever somebody can be asked, and nobody hears of it', async (t) => {
  for (const provider of PROVIDERS) {
    const tried = ASKED.some((one) => one === provider)
    t.same(await check(provider), { ok: true, tried }, provider)
  }
  t.equal(simulators.inbox.list().length, 0)
  t.equal(simulators.smtp.counters.mails, 0)
  t.equal(simulators.sms.counters.messages, 0)
})

t.test('wrong credentials are called wrong, with the provider’s word and what to do', async (t) => {
  const wrong: [Provider, object, string, RegExp][] = [
    ['fcm', { private_key: rsaKey() }, 'INVALID_CREDENTIAL', /new key/],
    ['fcm', { project_id: 'another-project' }, 'PERMISSION_DENIED', /project_id/],
    ['apns', { key: ecKey() }, 'InvalidProviderToken', /keyId and teamId/],
    ['apns', { teamId: 'OTHERTEAM1' }, 'InvalidProviderToken', /teamId/],
    ['apns', { bundleId: 'dev.carillon.other' }, 'TopicDisallowed', /bundleId/],
    ['smtp', { secure: true }, 'TLS_FAILED', /port and secure/],
    ['smtp', { password: 'no' }, 'SMTP_535 5.7.8', /user and password/],
    ['sms', { authToken: 'f'.repeat(32) }, 'TWILIO_20003', /authToken/],
    ['sms', { accountSid: `AC${'0'.repeat(32)}` }, 'TWILIO_20003', /accountSid/],
    ['webpush', { subject: 'mailto:ops@localhost' }, 'SUBJECT_UNREACHABLE', /public domain/],
    ['webpush', { subject: 'https://127.0.0.1/' }, 'SUBJECT_UNREACHABLE', /public domain/],
    ['webpush', { publicKey: vapid().publicKey }, 'KEYS_DO_NOT_MATCH', /one pair/],
    ['webpush', { privateKey: Buffer.alloc(32).toString('base64url') }, 'KEYS_INVALID', /P-256/],
    ['webhook', { userAgent: 'line\nbreak' }, 'CREDENTIALS_INVALID', /userAgent/],
  ]
  for (const [provider, more, reason, remedy] of wrong) {
    const found = await check(provider, more)
    t.match(found, { ok: false, reason, remedy, temporary: false }, `${provider} ${Object.keys(more)}`)
  }
  t.same(await check('webpush', vapid()), { ok: true, tried: false })
})

t.test(
  'credentials that no sender could read are refused with their fields, never their values',
  async (t) => {
    const shapes: [Provider, unknown, RegExp][] = [
      ['fcm', { project_id: 'p', private_key: 'secret-value' }, /client_email.*private_key/],
      ['apns', null, /object/],
      ['smtp', { host: 'h', port: 0.5, from: 'Ana <a@b.example>', user: 'u' }, /port.*from.*password/],
      [
        'smtp',
        {
          ...simulators.smtp.credentials,
          dkimDomain: 'a.example',
          dkimSelector: 's',
          dkimPrivateKey: 'secret-value',
        },
        /dkimPrivateKey/,
      ],
      [
        'sms',
        { accountSid: 'AC1', authToken: 'secret-value', baseUrl: 'http://a.example' },
        /accountSid.*from.*baseUrl/,
      ],
      ['webpush', { subject: 'https://localhost', publicKey: 'a', privateKey: 'b' }, /subject.*publicKey/],
    ]
    for (const [provider, value, fields] of shapes) {
      const found = await checkCredentials(provider, value, settings, never())
      t.match(found, { ok: false, reason: 'CREDENTIALS_INVALID', remedy: fields, temporary: false }, provider)
      t.notMatch(JSON.stringify(found), /secret-value/)
    }
    t.match(await checkCredentials('toString' as Provider, {}, settings, never()), {
      reason: 'PROVIDER_UNKNOWN',
    })
  },
)

t.test('a provider that is down, away, silent or busy says nothing about the credentials', async (t) => {
  for (const provider of ['fcm', 'apns', 'sms'] as const) {
    simulators.break(provider)
    t.match(await check(provider), { ok: false, temporary: true }, `${provider} down`)
    simulators.heal(provider)
    for (const reply of ['reset', { status: 429 }] as const) {
      simulators[provider].faults.rules.push({ times: 1, reply })
      t.match(await check(provider), { ok: false, temporary: true }, `${provider} ${JSON.stringify(reply)}`)
    }
    simulators.heal(provider)
    t.same(await check(provider), { ok: true, tried: true }, `${provider} back`)
  }
  for (const provider of ['fcm', 'apns', 'sms'] as const) {
    simulators[provider].faults.rules.push({ times: 1, reply: 'hang' })
  }
  const hasty = { timeouts: HASTY }
  const hanging = (['fcm', 'apns', 'sms'] as const).map((provider) => check(provider, {}, hasty))
  for (const one of await Promise.all(hanging)) {
    t.match(one, { ok: false, temporary: true }, 'hanging')
  }
  const silent = await listen(() => undefined)
  for (const [name, dial] of [
    ['away', NOBODY],
    ['silent', silent],
  ] as const) {
    const endpoints = { fcm: dial, apns: dial, fcmToken: `https://127.0.0.1:${dial.port}/token` }
    const url = `https://127.0.0.1:${dial.port}`
    const found = await Promise.all([
      check('fcm', {}, { ...hasty, endpoints }),
      check('fcm', {}, { ...hasty, endpoints: { ...endpoints, fcmToken: simulators.fcm.tokenUrl } }),
      check('apns', {}, { ...hasty, endpoints }),
      check('smtp', dial, hasty),
      check('sms', { baseUrl: url }, hasty),
    ])
    for (const one of found) t.match(one, { ok: false, temporary: true }, name)
  }
  const greetsWith = async (line: string) =>
    check('smtp', await listen((socket) => socket.end(`${line}\r\n`)))
  t.match(await greetsWith('421 4.3.2 closing'), { ok: false, temporary: true })
  t.match(await greetsWith('554 5.7.1 not from your network'), {
    ok: false,
    reason: 'SMTP_554 5.7.1',
    remedy: /from this machine/,
    temporary: false,
  })
})

t.test('an answer about the made-up phone lets in, one about the project or the app does not', async (t) => {
  const { fcm, apns } = simulators
  const details = [
    { '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode: 'UNREGISTERED' },
  ]
  const notFound = (more: object) => ({
    status: 404,
    body: { error: { code: 404, status: 'NOT_FOUND', message: 'Requested entity was not found.', ...more } },
  })
  const answers: ['fcm' | 'apns', { status: number; body: unknown }, object][] = [
    ['fcm', notFound({ details }), { ok: true, tried: true }],
    ['fcm', notFound({}), { ok: false, reason: 'PROJECT_NOT_FOUND', temporary: false }],
    ['apns', { status: 410, body: { reason: 'Unregistered' } }, { ok: true, tried: true }],
    [
      'apns',
      { status: 400, body: { reason: 'DeviceTokenNotForTopic' } },
      { ok: false, reason: 'DeviceTokenNotForTopic', remedy: /bundleId/, temporary: false },
    ],
    [
      'apns',
      { status: 403, body: { reason: 'BadEnvironmentKeyIdInToken' } },
      { ok: false, remedy: /environment/, temporary: false },
    ],
    ['apns', { status: 403, body: { reason: 'NewWordOfApple' } }, { ok: false, temporary: false }],
    [
      'apns',
      { status: 429, body: { reason: 'TooManyProviderTokenUpdates' } },
      { ok: false, temporary: true },
    ],
  ]
  for (const [provider, reply, expected] of answers) {
    const { faults } = provider === 'fcm' ? fcm : apns
    faults.rules.push({ times: 1, reply })
    t.match(await check(provider), expected, `${provider} ${JSON.stringify(reply.body)}`)
  }
})

t.test('is told to stop, and does', async (t) => {
  const silent = await listen(() => undefined)
  const patient = { ...settings, timeouts: { ...PATIENT, batchMs: 300 } }
  const at = Date.now()
  t.match(await checkCredentials('smtp', { ...simulators.smtp.credentials, ...silent }, patient, never()), {
    ok: false,
    reason: 'TIMEOUT',
    temporary: true,
  })
  t.ok(Date.now() - at < PATIENT.connectMs)
  t.match(await checkCredentials('fcm', simulators.fcm.credentials, settings, AbortSignal.abort()), {
    reason: 'ABORTED',
    temporary: true,
  })
})

t.test('a mail server that can not be trusted is a matter of configuration', async (t) => {
  const { ca: _none, ...untrusting } = settings
  const found = await checkCredentials('smtp', simulators.smtp.credentials, untrusting, never())
  t.match(found, { ok: false, reason: 'TLS_FAILED', temporary: false })
})

t.test('an account of the text API that is suspended can not send', async (t) => {
  simulators.sms.faults.rules.push({ times: 1, reply: { status: 200, body: { status: 'suspended' } } })
  t.match(await check('sms'), {
    ok: false,
    reason: 'ACCOUNT_NOT_ACTIVE',
    remedy: /suspended/,
    temporary: false,
  })
  const strict = { ...settings, allowPrivateEgress: false }
  t.match(await checkCredentials('sms', simulators.sms.credentials, strict, never()), {
    reason: 'EGRESS_REFUSED',
    temporary: false,
  })
})

t.test('a mail server in a private network is dialled only where that was said', async (t) => {
  const { allowPrivateEgress: _open, ...strict } = settings
  const dial = (host: string, more: ChannelSettings) =>
    checkCredentials('smtp', { ...simulators.smtp.credentials, host }, { ...strict, ...more }, never())
  const refused = { ok: false, reason: 'EGRESS_REFUSED', temporary: false, remedy: /CARILLON_MAIL_RELAYS/ }
  for (const host of ['127.0.0.1', 'localhost', '127.1', '2130706433', '0x7f.1', '::1', '::ffff:127.0.0.1']) {
    t.match(await dial(host, {}), refused, host)
  }
  t.match(await dial('fe80::1%lo', { mailRelays: 'private' }), refused, 'no address of one link')
  for (const host of ['169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', 'fd00:ec2::254']) {
    t.match(await dial(host, { mailRelays: 'private', allowPrivateEgress: true }), refused, host)
  }
  const { host } = simulators.smtp.credentials
  t.match(await dial(host, { mailRelays: 'private' }), { ok: true, tried: true })
  t.match(await dial('localhost', { mailRelays: 'private' }), { ok: true, tried: true }, 'by name')

  const sender = openSender('smtp', { ...simulators.smtp.credentials, host: 'localhost' }, strict)
  const verdicts = await sender.send([to('ada@mail.example')], never())
  await sender[Symbol.asyncDispose]()
  t.match(verdicts, [{ kind: 'config', reason: 'EGRESS_REFUSED' }], 'nor for a mail')
})

/** A server on a free port that does with each connection what it is told. */
async function listen(serve: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}
