import { randomUUID } from 'node:crypto'
import { bounceLocalPart, signReceiptToken } from '@carillon/channels'
import t from 'tap'
import { text, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const mta = await edge.key('acme', 'receipts:write')
const writer = await edge.key('acme', 'events:write')
const RFC822 = { 'content-type': 'message/rfc822' }
for (const user of ['ada', 'bob']) await edge.call(admin, `PUT /v1/users/${user}`, {})
const tokenOf = async (user: string) =>
  text((await edge.call(admin, `POST /v1/users/${user}/token`, {})).body.token)
const ada = await tokenOf('ada')
const bob = await tokenOf('bob')

t.test(
  'bytes, places and moments that no column holds are refused, and never an error of ours',
  async (t) => {
    const lines = [
      'GET /v1/suppressions?address=%00',
      'GET /v1/suppressions?after=email:%00',
      'GET /v1/suppressions?after=phone:%25_',
      'DELETE /v1/suppressions/email/%00',
      'DELETE /v1/suppressions/email/__proto__',
      'POST /v1/providers/smtp/check?app=%00',
      'POST /v1/providers/smtp/resume?name=%00',
      'POST /v1/providers/__proto__/check',
      'POST /v1/providers/constructor/resume',
      'DELETE /v1/providers/smtp?app=%00',
      'GET /v1/dead-letters?provider=%00',
      'GET /v1/dead-letters?user=%00',
      'GET /v1/dead-letters?workflow=%00',
      `GET /v1/dead-letters?after=9999999999999999.${randomUUID()}`,
      `GET /v1/dead-letters?after=0.${randomUUID()}`,
      'GET /v1/dead-letters?from=0000-01-01T00:00Z',
      'GET /v1/dead-letters?to=9999-12-31T23:59:59-23:59',
      `GET /v1/dead-letters/${'_'.repeat(43)}`,
      `GET /v1/dead-letters/${'A'.repeat(43)}`,
      'GET /v1/notifications/not-a-uuid/deliveries',
      "GET /v1/notifications/'%3B--/deliveries",
      `GET /v1/notifications/${randomUUID()}/deliveries`,
    ]
    for (const line of lines) {
      const { status } = await edge.call(admin, line)
      t.ok(status < 500, `${line}: ${status}`)
    }
    for (const [line, body] of [
      ['PUT /v1/suppressions/email/a%00@b.example', {}],
      ['PUT /v1/suppressions/email/a@b.example', { detail: '\u0000' }],
      ['PUT /v1/suppressions/email/a@b.example', { detail: '\ud800' }],
      ['PUT /v1/suppressions/webhook/https:%2F%2Fa.example%2F%00', {}],
      ['PUT /v1/suppressions/phone/%2B49%00170', {}],
      ['PUT /v1/providers/webhook', { app: '\u0000', credentials: {} }],
      ['PUT /v1/providers/webhook', { app: '\ud800', credentials: {} }],
      ['PUT /v1/providers/webhook', { credentials: { secrets: '\u0000' } }],
      ['PUT /v1/providers/smtp', { settings: { domains: { '\u0000': 1 } } }],
      ['PUT /v1/providers/smtp', { credentials: { host: 'a\u0000b', from: 'a@b.example' } }],
      ['PUT /v1/providers/smtp?check=false', { credentials: { host: 'a\r\nRCPT', from: 'a@b.example' } }],
      ['PUT /v1/providers/sms', { credentials: { accountSid: '../x', authToken: 'a', from: '+4917012345' } }],
      ['PUT /v1/providers/fcm', { credentials: { token_uri: 'http://169.254.169.254/' } }],
      ['POST /v1/dead-letters/redrive', { filter: { provider: '\u0000' } }],
      ['POST /v1/dead-letters/redrive', { filter: { to: '0000-01-01T00:00:00Z' } }],
      ['POST /v1/dead-letters/redrive', { filter: {}, after: `9999999999999999.${randomUUID()}` }],
      ['POST /v1/dead-letters/redrive', { ids: ['_'.repeat(43), 'A'.repeat(43)] }],
    ] as const) {
      const { status } = await edge.call(admin, line, body)
      t.ok(status < 500, `${line} ${JSON.stringify(body)}: ${status}`)
    }
    for (const body of [
      '{"credentials":{"__proto__":{"host":"a"}}}',
      '{"credentials":{},"settings":{"__proto__":{"perSecond":1}}}',
      '{"credentials":{"constructor":{"prototype":{"host":"a"}}}}',
    ]) {
      t.equal((await edge.call(admin, 'PUT /v1/providers/webhook', body)).status, 400, body)
    }
    t.equal(Object.hasOwn(Object.prototype, 'host'), false)
  },
)

t.test('what a person sends is kept to bytes that a column holds', async (t) => {
  const device = { kind: 'apns', token: 'ab'.repeat(32), environment: 'sandbox' }
  t.match(await edge.call(ada, 'PUT /v1/me/devices/phone', device), { status: 201 })
  for (const line of [
    'GET /v1/me/webpush-key?app=%00',
    'DELETE /v1/me/devices/phone/live-activities/%00',
    'DELETE /v1/me/devices/%00/live-activities/a',
  ]) {
    const { status } = await edge.call(ada, line)
    t.ok(status < 500, `${line}: ${status}`)
  }
  const path = 'PUT /v1/me/devices/phone/live-activities'
  for (const [activity, token] of [
    ['%00', 'ab'.repeat(32)],
    ['ride', '\u0000'],
    ['ride', `${'ab'.repeat(32)}\r\n:path: /`],
    ['ride', 'x'.repeat(100_000)],
  ] as const) {
    const { status } = await edge.call(ada, `${path}/${activity}`, { token })
    t.ok(status >= 400 && status < 500, `${activity} ${JSON.stringify(token.slice(0, 80))}: ${status}`)
  }
  t.equal((await edge.call(ada, `${path}/ride`, { token: 'ab'.repeat(32) })).status, 200)
  t.equal(
    (await edge.call(bob, `${path}/ride`, { token: 'cd'.repeat(32) })).status,
    404,
    'of a device of hers',
  )
  t.equal((await edge.call(bob, `DELETE /v1/me/devices/phone/live-activities/ride`)).status, 404)
})

t.test('each route asks for its own kind of credential', async (t) => {
  for (const line of [
    'GET /v1/providers',
    'POST /v1/providers/smtp/check',
    'POST /v1/providers/smtp/resume',
    'GET /v1/suppressions',
    'GET /v1/dead-letters',
    `GET /v1/dead-letters/${'A'.repeat(43)}`,
  ]) {
    for (const credential of [ada, mta, writer])
      t.equal((await edge.call(credential, line)).status, 403, line)
    t.equal((await edge.call(undefined, line)).status, 401, line)
  }
  t.equal((await edge.call(writer, 'POST /v1/callbacks/mail', 'x', RFC822)).status, 403)
  t.equal((await edge.call(ada, 'POST /v1/callbacks/mail', 'x', RFC822)).status, 403)
  t.equal((await edge.call(undefined, 'POST /v1/callbacks/mail', 'x', RFC822)).status, 401)
  for (const line of ['GET /v1/me/webpush-key', 'DELETE /v1/me/devices/phone/live-activities/ride']) {
    t.equal((await edge.call(admin, line)).status, 403, line)
  }
})

t.test('an account leads nobody into our network', async (t) => {
  for (const host of ['127.0.0.1', 'localhost', '169.254.169.254', '10.0.0.1', '[::1]', '2130706433']) {
    const put = await edge.call(admin, 'PUT /v1/providers/smtp', {
      credentials: { host, from: 'a@b.example' },
    })
    t.not(put.body.checked as unknown, 'ok', host)
    if (host !== '[::1]') t.match(put, { status: 422, body: { detail: /EGRESS_REFUSED/ } }, host)
  }
  const sms = { accountSid: `AC${'a'.repeat(32)}`, authToken: 'b'.repeat(32), from: '+4917012345678' }
  for (const baseUrl of ['https://127.0.0.1', 'https://localhost', 'https://169.254.169.254']) {
    const put = await edge.call(admin, 'PUT /v1/providers/sms', { credentials: { ...sms, baseUrl } })
    t.ok([400, 422].includes(put.status), baseUrl)
    t.notMatch(JSON.stringify(put.body), sms.authToken)
  }
})

t.test('mails made to hurt cost little and change nothing', async (t) => {
  const MEGABYTE = 1024 * 1024
  const parts = (depth: number) =>
    Array.from(
      { length: depth },
      (_, n) => `Content-Type: multipart/mixed; boundary="b${n}"\r\n\r\n--b${n}\r\n`,
    ).join('')
  const claims = { tenant: 'acme', notificationId: randomUUID(), deliveryId: '' }
  claims.deliveryId = claims.notificationId.slice(0, 13) + randomUUID().slice(13)
  const evil: Record<string, string> = {
    'ten megabytes': `Subject: x\r\n\r\n${'a'.repeat(10 * MEGABYTE - 100)}`,
    'nested parts': parts(5000),
    'many headers': `${'X-A: b\r\n'.repeat(200_000)}\r\n`,
    'one header': `Subject: ${'a'.repeat(9 * MEGABYTE)}\r\n\r\n`,
    'folded header': `Subject: a${'\r\n b'.repeat(500_000)}\r\n\r\n`,
    'unknown charset': 'Content-Type: text/plain; charset="__proto__"\r\n\r\n\xff\xfe',
    'encoded words': `Subject: ${'=?utf-16?B?/////w==?= '.repeat(20_000)}\r\n\r\n`,
    'angle brackets': `Content-Type: text/html\r\n\r\n${'<'.repeat(200_000)}`,
    addresses: `To: ${'"a" <a@b.example>, '.repeat(10_000)}\r\nFrom: ${'('.repeat(50_000)}\r\n\r\n`,
    'no mail at all': '\u0000'.repeat(100_000),
  }
  for (const [name, mail] of Object.entries(evil)) {
    const began = process.cpuUsage()
    const { status } = await edge.call(mta, 'POST /v1/callbacks/mail', mail, RFC822)
    const { user } = process.cpuUsage(began)
    t.ok([202, 413].includes(status), `${name}: ${status}`)
    t.ok(user < 3_000_000, `${name}: ${user} µs`)
  }
  t.equal(
    (await edge.call(mta, 'POST /v1/callbacks/mail', 'a'.repeat(10 * MEGABYTE + 1), RFC822)).status,
    413,
  )
  const foreign = bounceLocalPart(edge.receiptKey, { ...claims, tenant: 'globex' })
  const bounce = `Return-Path: <>\r\nFrom: MAILER-DAEMON@x.example\r\nTo: ${foreign}@m.example\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; victim@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n`
  const told = await edge.call(mta, 'POST /v1/callbacks/mail', bounce, RFC822)
  t.match(told, { status: 404 })
  t.equal((await edge.stored('RECEIPTS', 'rcp.email.bounced.globex')).length, 0)
  const twice = await edge.call(
    mta,
    `POST /v1/callbacks/mail?recipient=a@b.example%0D%0AX:%20y`,
    bounce,
    RFC822,
  )
  t.ok(twice.status < 500)
})

t.test('a receipt counts for the delivery that its token names and for nothing else', async (t) => {
  const claims = { tenant: 'globex', notificationId: randomUUID(), deliveryId: randomUUID() }
  const token = signReceiptToken(edge.receiptKey, { ...claims, expiresAt: Date.now() + 60_000 })
  const send = (receipt: object, credential?: string) =>
    edge.call(credential, 'POST /v1/receipts', { receipts: [receipt] })
  t.equal((await send({ token, status: 'clicked', action: 'a' })).status, 404)
  t.equal((await send({ token, status: 'clicked', action: 'a'.repeat(10_000) })).status, 400)
  for (const at of ['2026-02-30T25:61:00Z', '0000-01-01T00:00:00Z', '+275760-09-13T00:00:01Z', 'NaN']) {
    t.ok((await send({ token, status: 'clicked', at })).status < 500, at)
  }
  const { tenant: _theirs, ...ids } = claims
  t.equal((await send({ ...ids, status: 'opened' }, mta)).status, 404, 'not of this tenant')
  t.equal((await send({ ...ids, status: 'opened' }, ada)).status, 401)
})
