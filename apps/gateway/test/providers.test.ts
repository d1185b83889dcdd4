import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { createHealth, createHttpServer, createLogger, createMetrics, readConfig } from '@carillon/service'
import { startSimulators } from '@carillon/simulators'
import t from 'tap'
import { GatewayConfig, start } from '../src/index.js'
import { type Json, list, text, useEdge } from './support.js'

const simulators = await startSimulators({ allow: 'development' })
t.teardown(() => simulators[Symbol.asyncDispose]())
const edge = await useEdge(t, {
  CARILLON_ENVIRONMENT: 'development',
  CARILLON_PROVIDER_SETTINGS: JSON.stringify(simulators.settingsForChannels),
})
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')
const VAPID = {
  publicKey: 'BEl62iUYgUivxIkv69yViEuiBIa-Ib9-SkvMeAtA3LFgDzkrxZJjSgSnfckjBJuBkr3qBUYIHBQFLXYp5Nksh8U',
  privateKey: 'UUxI4O8-FbRouAevSmBQ6o18hgE4nSG3qwvJTfKc-ls',
}
const webpush = { subject: 'mailto:ops@example.com', ...VAPID }
const all = async (key = admin) => list((await edge.call(key, 'GET /v1/providers')).body.providers)
const find = async (kind: string, name = 'default') =>
  (await all()).find((one) => text(one.kind) === kind && text(one.name) === name) as Json
const facts = async (action: string) =>
  (await edge.stored('AUDIT', `aud.providers.${action}.acme`)).map(({ body }) => JSON.parse(body))

/** A port on which nobody listens, and nobody can meanwhile: a connection of ours begins there. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => {
    socket.destroy()
    server.close()
  })
  await once(socket, 'connect')
  return socket.localPort ?? 0
}

t.test('credentials that can not be used are refused with their field, and nothing is saved', async (t) => {
  const shapeless = await edge.call(admin, 'PUT /v1/providers/sms', { credentials: { accountSid: 'AC1' } })
  t.match(shapeless, { status: 400, body: { code: 'CREDENTIALS_INVALID', field: 'authToken' } })
  t.equal(
    (await edge.call(admin, 'PUT /v1/providers/sms?check=false', { credentials: {} })).status,
    400,
    'their shape counts also without asking anybody',
  )
  const refused = await edge.call(admin, 'PUT /v1/providers/webpush', {
    credentials: { ...webpush, subject: 'mailto:ops@carillon.internal' },
  })
  t.match(refused, {
    status: 422,
    body: {
      code: 'CREDENTIALS_REFUSED',
      field: 'credentials',
      detail: /SUBJECT_UNREACHABLE/,
      errors: [{ detail: /public domain/ }],
    },
  })
  t.match(await edge.call(admin, 'PUT /v1/providers/smtp', { position: 1 }), {
    status: 422,
    body: { code: 'CREDENTIALS_MISSING', field: 'credentials' },
  })
  t.same(await all(), [])
  t.same(await facts('put'), [])
})

t.test('every provider is asked, and nobody gets a message for it', async (t) => {
  const wrong = {
    fcm: { project_id: 'another-project' },
    apns: { teamId: 'OTHERTEAM1' },
    smtp: { password: 'guessed' },
    sms: { authToken: 'f'.repeat(32) },
  }
  for (const [kind, more] of Object.entries(wrong)) {
    const good = simulators.credentials[kind as keyof typeof wrong] as object
    const put = (credentials: object) =>
      edge.call(admin, `PUT /v1/providers/${kind}`, { credentials, app: 'asked' })
    t.match(await put({ ...good, ...more }), { status: 422, body: { code: 'CREDENTIALS_REFUSED' } }, kind)
    t.match(await put(good), { status: 201, body: { checked: 'ok' } }, kind)
    t.match(await put({ ...good, ...more }), { status: 422 }, kind)
    const check = await edge.call(admin, `POST /v1/providers/${kind}/check?app=asked`)
    t.match(check, { status: 200, body: { checked: 'ok', reason: null } }, 'the good ones stay')
    t.equal((await edge.call(admin, `DELETE /v1/providers/${kind}?app=asked`)).status, 204)
  }
  t.equal(simulators.inbox.list().length, 0)
})

t.test('credentials that no key opens are called refused', async (t) => {
  await edge.call(admin, 'PUT /v1/providers/webhook', { credentials: {} })
  await edge.owner.query({ text: `UPDATE providers SET credentials = '\\x01' WHERE kind = 'webhook'` })
  t.match(await edge.call(admin, 'POST /v1/providers/webhook/check'), {
    status: 200,
    body: { checked: 'refused', reason: 'CREDENTIALS_SEALED', remedy: /again/ },
  })
  await edge.call(admin, 'DELETE /v1/providers/webhook')
})

t.test('a provider that is away is no reason not to save, but it is said', async (t) => {
  const credentials = { host: '127.0.0.1', port: await closedPort(), from: 'bells@example.com' }
  const saved = await edge.call(admin, 'PUT /v1/providers/smtp', { credentials })
  t.match(saved, { status: 201, body: { checked: 'unreachable', warning: /Try again later/, kind: 'smtp' } })
  t.match(await edge.call(admin, 'POST /v1/providers/smtp/check'), {
    status: 200,
    body: { checked: 'unreachable', reason: String, remedy: /Try again later/ },
  })
  const unasked = await edge.call(admin, 'PUT /v1/providers/smtp?check=false', { credentials })
  t.match(unasked, { status: 200, body: { checked: 'skipped' } })
  t.notOk('warning' in unasked.body)
  t.equal((await edge.call(admin, 'POST /v1/providers/apns/check')).status, 404)
  t.equal((await edge.call(stranger, 'POST /v1/providers/smtp/check')).status, 404)
})

t.test('settings, order and status change without the credentials, and what is left out stays', async (t) => {
  const put = (body: object) => edge.call(admin, 'PUT /v1/providers/webpush', { name: 'spare', ...body })
  const settings = { perSecond: 10, burst: 20, originPerSecond: 5 }
  t.match(await put({ credentials: webpush, settings, position: 3 }), {
    status: 201,
    body: { name: 'spare', settings, position: 3, status: 'active', checked: 'skipped' },
  })
  const first = await find('webpush', 'spare')
  t.match(await put({ status: 'paused' }), { status: 200, body: { settings, position: 3, status: 'paused' } })
  t.match(await put({ position: 1, settings: { perSecond: 2 } }), {
    body: { settings: { perSecond: 2 }, position: 1, status: 'paused', updatedAt: text(first.updatedAt) },
  })
  const again = await put({ credentials: webpush })
  t.match(again, { body: { settings: { perSecond: 2 }, position: 1, status: 'paused' } })
  t.not(text(again.body.updatedAt), text(first.updatedAt), 'new credentials are in force from now')
  t.notMatch(JSON.stringify(await all()), VAPID.privateKey, 'and are never shown')
  t.match((await facts('put')).at(-1), {
    resource: 'provider:webpush',
    details: { name: 'spare', credentials: 'new', checked: 'skipped' },
  })
  t.notMatch(JSON.stringify(await facts('put')), VAPID.privateKey)
})

t.test('paces are numbers of what the kind knows', async (t) => {
  const put = (kind: string, settings: object) =>
    edge.call(admin, `PUT /v1/providers/${kind}`, { name: 'spare', settings })
  for (const [kind, settings, field] of [
    ['webpush', { perSecond: 0 }, 'settings.perSecond'],
    ['webpush', { perSecond: '10' }, 'settings.perSecond'],
    ['webpush', { faster: 1 }, 'settings.faster'],
    ['webpush', { domains: { 'gmail.com': 1 } }, 'settings.domains'],
    ['smtp', { originPerSecond: 1 }, 'settings.originPerSecond'],
    ['smtp', { domains: { 'Gmail.com': 1 } }, 'settings.domains.Gmail.com'],
    ['smtp', { domains: { '*': -1 } }, 'settings.domains.*'],
  ] as const) {
    t.match(await put(kind, settings), { status: 400, body: { field } }, JSON.stringify(settings))
  }
  const domains = { 'gmail.com': 20, '*': 0.5 }
  t.match(await edge.call(admin, 'PUT /v1/providers/smtp', { settings: { domains } }), {
    status: 200,
    body: { settings: { domains } },
  })
})

t.test('a hold is shown with its reason and lifted on request', async (t) => {
  await edge.owner.query({
    text: `UPDATE providers SET held_until = now() + interval '1 hour', held_reason = 'SMTP_535', status = 'paused' WHERE kind = 'smtp'`,
  })
  t.match(await find('smtp'), { heldUntil: String, heldReason: 'SMTP_535', status: 'paused' })
  t.equal((await edge.call(stranger, 'POST /v1/providers/smtp/resume')).status, 404)
  t.equal((await edge.call(admin, 'POST /v1/providers/smtp/resume?app=driver')).status, 404)
  t.match(await edge.call(admin, 'POST /v1/providers/smtp/resume'), {
    status: 200,
    body: { heldUntil: null, heldReason: null, status: 'active' },
  })
  t.match(await facts('resumed'), [{ resource: 'provider:smtp', details: { app: 'default' } }])
})

t.test('one account goes, and the others of its kind stay', async (t) => {
  await edge.call(admin, 'PUT /v1/providers/webpush', { credentials: webpush })
  t.equal((await edge.call(admin, 'DELETE /v1/providers/webpush?name=spare')).status, 204)
  t.equal((await edge.call(admin, 'DELETE /v1/providers/webpush?name=spare')).status, 404)
  t.ok(await find('webpush'))
  t.equal((await all()).length, 2)
})

t.test('other endpoints than the real ones are refused in production', async (t) => {
  const logger = createLogger({ name: 'gateway', level: 'silent' })
  const deps = { logger, metrics: createMetrics(), health: createHealth() }
  const http = await createHttpServer({ ...deps, maxEventLoopDelayMs: 30_000 })
  t.teardown(() => http.close())
  const secret = 'x'.repeat(43)
  const env = {
    CARILLON_TOKEN_KEY: secret,
    CARILLON_MASTER_KEY: secret,
    CARILLON_RECEIPT_KEY: secret,
    CARILLON_PROVIDER_SETTINGS: '{"allowPrivateEgress":true}',
  }
  const { connection, owner: database } = edge
  await t.rejects(start(readConfig(GatewayConfig, { env }), { ...deps, connection, database, http }), {
    code: 'CONFIG_INVALID',
  })
})
