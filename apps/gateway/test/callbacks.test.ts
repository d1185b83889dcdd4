import { createHmac, randomUUID } from 'node:crypto'
import { signReceiptToken } from '@carillon/channels'
import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import t from 'tap'
import { text, useEdge } from './support.js'

const PUBLIC_URL = 'https://bells.example'
const edge = await useEdge(t, { CARILLON_PUBLIC_URL: `${PUBLIC_URL}/`, CARILLON_LIMIT_ADDRESS: '5' })
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')
await edge.call(admin, 'PUT /v1/users/ada', {})
const ada = userId(sha256, 'acme', 'ada')

const credentials = { accountSid: `AC${'0'.repeat(32)}`, authToken: 'very-secret', from: '+15005550006' }
const put = await edge.call(admin, 'PUT /v1/providers/sms?check=false', { credentials })
const provider = text(put.body.id)
const foreign = text(
  (await edge.call(stranger, 'PUT /v1/providers/sms?check=false', { credentials })).body.id,
)

/** A text that was sent, and the token it was sent with. */
async function sent(channel = 'sms', tenant = 'acme') {
  const runId = await edge.notify('acme', 'ada', 1)
  const id = randomUUID()
  await edge.owner.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      VALUES ($1, $2, 'acme', $3, $4, 'high', 1, $5, '+436601234567', 'sent', now(), now())`,
    values: [runId, id, ada, channel, channel === 'sms' ? 'phone' : 'email'],
  })
  const claims = { tenant, notificationId: runId, deliveryId: id, expiresAt: Date.now() + 60_000 }
  return { id, token: signReceiptToken(edge.receiptKey, claims) }
}

/** A callback as Twilio sends it; `key` signs. */
function tell(
  token: string,
  fields: Record<string, string>,
  { key = credentials.authToken, account = provider } = {},
) {
  const path = `/v1/callbacks/twilio/${account}?token=${token}`
  const signed = Object.keys(fields)
    .sort()
    .map((name) => `${name}${fields[name]}`)
    .join('')
  const signature = createHmac('sha1', key).update(`${PUBLIC_URL}${path}${signed}`).digest('base64')
  return edge.call(undefined, `POST ${path}`, new URLSearchParams(fields).toString(), {
    'content-type': 'application/x-www-form-urlencoded',
    'x-twilio-signature': signature,
  })
}
const receipts = async (status: string) =>
  (await edge.stored('RECEIPTS', `rcp.sms.${status}.acme`)).map(({ body }) => JSON.parse(body))

t.test('a text that arrived and one that did not become receipts of their deliveries', async (t) => {
  t.match(put, { status: 201, body: { channel: 'sms', kind: 'sms' } })
  const good = await sent()
  const bad = await sent()
  t.equal((await tell(good.token, { MessageSid: 'SM1', MessageStatus: 'sent' })).status, 204)
  t.same(await receipts('delivered'), [], 'on its way is no news')
  t.equal((await tell(good.token, { MessageSid: 'SM1', MessageStatus: 'delivered' })).status, 204)
  const undelivered = { MessageSid: 'SM2', MessageStatus: 'undelivered', ErrorCode: '30007' }
  t.equal((await tell(bad.token, undelivered)).status, 204)
  t.match(await receipts('delivered'), [
    { deliveryId: good.id, userId: ada, channel: 'sms', by: 'provider', provider: 'sms', providerId: 'SM1' },
  ])
  t.match(await receipts('bounced'), [
    { deliveryId: bad.id, reason: 'PROVIDER_REJECTED', detail: 'TWILIO_30007', providerId: 'SM2' },
  ])
})

t.test('who answered STOP is told apart from a number that is dead', async (t) => {
  const before = (await receipts('bounced')).length
  for (const ErrorCode of ['21610', '30005', '30006', '30008']) {
    const { token } = await sent()
    await tell(token, { MessageSid: 'SM4', MessageStatus: 'undelivered', ErrorCode })
  }
  const reasons = (await receipts('bounced')).slice(before).map(({ reason }) => reason)
  t.same(reasons, ['UNSUBSCRIBED', 'ADDRESS_INVALID', 'ADDRESS_INVALID', 'PROVIDER_UNAVAILABLE'])
})

t.test(
  'nothing is believed without both the token of the delivery and the signature of its account',
  async (t) => {
    const { token } = await sent()
    const fields = { MessageSid: 'SM3', MessageStatus: 'delivered' }
    const before = (await receipts('delivered')).length
    t.match(await tell(token, fields, { key: 'guessed' }), {
      status: 403,
      body: { code: 'SIGNATURE_INVALID' },
    })
    t.match(await tell(`${token}x`, fields), { status: 401, body: { code: 'RECEIPT_TOKEN_INVALID' } })
    t.equal((await tell(token, fields, { account: foreign })).status, 404, 'an account of another tenant')
    t.equal((await tell(token, fields, { account: 'nonsense' })).status, 404)
    t.equal((await tell((await sent('email')).token, fields)).status, 404, 'a delivery of another channel')
    t.equal(
      (await tell((await sent('sms', 'globex')).token, fields)).status,
      404,
      'a delivery of another tenant',
    )
    const unsigned = await edge.call(
      undefined,
      `POST /v1/callbacks/twilio/${provider}?token=${token}`,
      'a=b',
      {
        'content-type': 'application/x-www-form-urlencoded',
      },
    )
    t.equal(unsigned.status, 403)
    t.equal((await receipts('delivered')).length, before)
  },
)

t.test('callbacks come from a few addresses, so they have a count of their own', async (t) => {
  const { token } = await sent()
  for (let n = 0; n < 8; n++) t.equal((await tell(token, { MessageStatus: 'queued' })).status, 204)
})
