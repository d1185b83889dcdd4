import { bounceLocalPart, signReceiptToken } from '@carillon/channels'
import { deliveryId, userId } from '@carillon/contracts'
import { insertReceipts } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { text, useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const mta = await edge.key('acme', 'receipts:write')
const stranger = await edge.key('globex', 'receipts:write')
await edge.call(admin, 'PUT /v1/users/ada', {})
await edge.call(admin, 'PUT /v1/categories/offers', { name: 'Offers' })
await edge.call(admin, 'PUT /v1/categories/codes', { name: 'Codes', critical: true })
const ada = userId(sha256, 'acme', 'ada')
const RFC822 = { 'content-type': 'message/rfc822' }
const preferences = async () =>
  (await edge.call(admin, 'GET /v1/users/ada/preferences')).body.preferences as unknown as object[]

/** A mail that was sent, and the address to which it comes back. */
async function sent({ category = 'offers', channel = 'email' } = {}) {
  const run = await edge.notify('acme', 'ada', 1)
  const id = deliveryId(sha256, { run, step: 1, address: `${channel} ${category}` })
  await edge.owner.query({ text: 'UPDATE runs SET category = $2 WHERE id = $1', values: [run, category] })
  await edge.owner.query({ text: 'DELETE FROM deliveries' })
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, $4, 'normal', 1, 'email', 'ada@example.com', 'sent', now(), now())`,
    values: [run, id, ada, channel],
  })
  const claims = { tenant: 'acme', notificationId: run, deliveryId: id }
  const token = signReceiptToken(edge.receiptKey, { ...claims, expiresAt: Date.now() + 60_000 })
  return { run, id, token, address: `${bounceLocalPart(edge.receiptKey, claims)}@mail.example` }
}

/** A delivery status notification as Postfix writes it. */
const status = (to: string, action: string, code: string, line: string) => `Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: ${to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

I'm sorry to have to inform you.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ada@example.com
Action: ${action}
Status: ${code}
Diagnostic-Code: smtp; ${line}

--b1--
`
/** An abuse report (RFC 5965), with the mail that was complained of. */
const abuse = (headers: string) => `From: fbl@isp.example
To: abuse@bells.example
Subject: FW: Offers
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Isp/1
Version: 1

--b1
Content-Type: message/rfc822

${headers}
Subject: Offers

Buy.

--b1--
`
const handIn = (mail: string, key = mta, query = '') =>
  edge.call(key, `POST /v1/callbacks/mail${query}`, mail.replaceAll('\n', '\r\n'), RFC822)
const receipts = async (kind: string) =>
  (await edge.stored('RECEIPTS', `rcp.email.${kind}.acme`)).map(({ body }) => JSON.parse(body))
const stateOf = async (id: string) =>
  (
    await edge.owner.query<{ status: string; detail: string | null }>({
      text: 'SELECT status, detail FROM deliveries WHERE id = $1',
      values: [id],
    })
  ).rows[0]

t.test('a mail that came back becomes a receipt of its delivery', async (t) => {
  const gone = await sent()
  const answer = await handIn(status(gone.address, 'failed', '5.1.1', '550 5.1.1 No such user'))
  t.match(answer, { status: 202, body: { outcome: 'bounced', deliveryId: gone.id, detail: /^5\.1\.1 / } })
  const full = await sent()
  await handIn(
    status('bounces@mail.example', 'failed', '5.2.2', '552 full'),
    mta,
    `?recipient=${full.address}`,
  )
  t.match(await receipts('bounced'), [
    {
      deliveryId: gone.id,
      runId: gone.run,
      userId: ada,
      reason: 'ADDRESS_INVALID',
      by: 'provider',
      detail: /No such/,
    },
    { deliveryId: full.id, reason: 'PROVIDER_REJECTED' },
  ])
  const there = await sent()
  await handIn(status(there.address.toUpperCase(), 'delivered', '2.0.0', '250 ok'))
  t.match(await receipts('delivered'), [{ deliveryId: there.id, provider: 'smtp' }])
})

t.test('what may arrive yet is noted, and nothing else', async (t) => {
  const late = await sent()
  const before = (await receipts('bounced')).length
  const delayed = status(late.address, 'delayed', '4.4.1', '451 4.4.1 no answer')
  t.match(await handIn(delayed), { status: 202, body: { outcome: 'noted' } })
  t.match(await stateOf(late.id), { status: 'sent', detail: '4.4.1 451 4.4.1 no answer' })
  t.match((await handIn(status(late.address, 'failed', '4.2.2', '452 4.2.2 full'))).body, {
    outcome: 'noted',
  })
  t.match(await stateOf(late.id), { status: 'sent', detail: /^4\.2\.2/ })
  t.equal((await receipts('bounced')).length, before)
})

t.test('a complaint ends mails of its kind for that person, once', async (t) => {
  const spam = await sent()
  const report = abuse(`Return-Path: <${spam.address}>`)
  t.match(await handIn(report), { status: 202, body: { outcome: 'complained', detail: 'abuse' } })
  t.match(await preferences(), [{ category: 'offers', channel: 'email', enabled: false }])
  const facts = await edge.stored('AUDIT', 'aud.preferences.unsubscribed.acme')
  t.match(JSON.parse(facts[0]?.body ?? '{}'), {
    actor: { id: ada },
    details: { category: 'offers', cause: 'complaint' },
  })
  const [receipt] = await receipts('complained')
  t.match(receipt, { deliveryId: spam.id, detail: 'abuse' })
  await edge.owner.inTenant('acme', (tx) => insertReceipts(tx, [{ ...receipt, tenant: 'acme' }]))
  await edge.call(admin, 'PUT /v1/users/ada/preferences', { preferences: [] })
  t.equal((await handIn(report)).status, 202)
  t.same(await preferences(), [], 'told again it does not undo what she said since')
})

t.test("what is critical is not switched off, and the receipt's token proves as well", async (t) => {
  const { id, token } = await sent({ category: 'codes' })
  t.match(await handIn(abuse(`X-Carillon-Receipt: ${token}`)), {
    status: 202,
    body: { outcome: 'complained', deliveryId: id },
  })
  t.same(await preferences(), [])
})

t.test('what proves nothing changes nothing', async (t) => {
  const mail = await sent()
  const bounce = (to: string) => status(to, 'failed', '5.1.1', '550 5.1.1 No such user')
  const before = (await receipts('bounced')).length
  const [local = '', domain = ''] = mail.address.split('@')
  const forged = `${local.slice(0, -6)}${local.slice(-6) === 'aaaaaa' ? 'bbbbbb' : 'aaaaaa'}@${domain}`
  t.match(await handIn(bounce(forged)), { status: 422, body: { code: 'REPORT_UNPROVEN' } })
  t.match(await handIn(bounce(`bounce+${mail.id}@${domain}`)), { status: 422 }, 'an id is no proof')
  t.match(await handIn(abuse(`X-Carillon-Delivery: ${mail.id}`)), { status: 422 })
  t.equal((await handIn(bounce(mail.address), stranger)).status, 404, 'a mail of another tenant')
  const sms = await sent({ channel: 'sms' })
  t.equal((await handIn(bounce(sms.address))).status, 404, 'a delivery that was no mail')
  t.equal((await receipts('bounced')).length, before)
  t.match(await stateOf(sms.id), { status: 'sent', detail: null })
})

t.test('only mails are read, from who may hand them in, up to their limit', async (t) => {
  const { address } = await sent()
  const bounce = status(address, 'failed', '5.1.1', 'x')
  t.equal((await handIn(bounce)).status, 202)
  t.equal((await edge.call(undefined, 'POST /v1/callbacks/mail', bounce, RFC822)).status, 401)
  t.equal((await handIn(bounce, await edge.key('acme', 'users:write'))).status, 403)
  t.equal((await edge.call(mta, 'POST /v1/callbacks/mail', { mail: bounce })).status, 415)
  t.equal((await edge.call(admin, 'PUT /v1/users/ada', bounce, RFC822)).status, 415, 'nor mails elsewhere')
  const big = `${bounce}${'x'.repeat(2 ** 20)}`
  t.equal((await handIn(big)).status, 202, 'a returned mail may be larger than other bodies')
  t.equal((await handIn(`${bounce}${'x'.repeat(11 * 2 ** 20)}`)).status, 413)
})

t.test('holiday replies and mails that are no reports are taken and forgotten', async (t) => {
  const { address, id } = await sent()
  const head = `From: ada@example.com\nTo: ${address}\n`
  const holiday = await handIn(
    `${head}Auto-Submitted: auto-replied\nSubject: Out of office\n\nBack on Monday.\n`,
  )
  t.match(holiday, { status: 202, body: { outcome: 'ignored', detail: 'an automatic reply' } })
  t.match((await handIn(`${head}Subject: Thanks\n\nBye.\n`)).body, {
    outcome: 'ignored',
    detail: 'no report',
  })
  for (const odd of ['', '\u0000\u00ff', 'x'.repeat(5_000), `${head}Content-Type: multipart/report\n\n`]) {
    const answer = await handIn(odd)
    t.ok(answer.status === 202 || answer.status === 400, `${answer.status} ${text(answer.body.outcome)}`)
  }
  t.match(await stateOf(id), { status: 'sent', detail: null })
})
