import { randomBytes } from 'node:crypto'
import t from 'tap'
import { masterKeyId, openCredentials, sealCredentials } from './credentials.js'
import { guardedLookup } from './egress/agent.js'
import { createEgressGuard } from './egress/guard.js'
import { signReceiptToken, verifyReceiptToken } from './receipt-token.js'
import { retryAfterMs } from './retry-after.js'
import { checkEndpoint } from './webpush/endpoints.js'

t.test('sealed credentials', async (t) => {
  const key = randomBytes(32)
  const other = randomBytes(32)
  const context = { tenant: 'acme', provider: 'fcm' }
  const value = { private_key: 'do not show', nested: [1, 2] }
  const sealed = sealCredentials(key, value, context)
  const refused = { code: 'CREDENTIALS_SEALED' }

  t.same(openCredentials(key, sealed, context), value, 'open with their key, tenant and provider')
  t.same(openCredentials([other, key], sealed, context), value, 'open during a rotation')
  t.notOk(sealed.includes('do not show'))
  t.notOk(sealed.equals(sealCredentials(key, value, context)), 'are sealed anew each time')
  t.equal(masterKeyId(key).length, 8)
  t.throws(() => openCredentials(other, sealed, context), refused, 'not with another key')
  t.throws(
    () => openCredentials(key, sealed, { ...context, tenant: 'other' }),
    refused,
    'not for another tenant',
  )
  t.throws(
    () => openCredentials(key, sealed, { ...context, provider: 'apns' }),
    refused,
    'not for another provider',
  )
  t.throws(
    () => openCredentials(key, sealed, { tenant: 'acm', provider: 'efcm' }),
    refused,
    'nor for a shifted pair',
  )
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed)
    changed[index] = (changed[index] ?? 0) ^ 1
    t.throws(() => openCredentials(key, changed, context), refused)
  }
  t.throws(() => openCredentials(key, sealed.subarray(0, 20), context), refused, 'not cut short')
  t.throws(() => sealCredentials(randomBytes(16), value, context), /32 bytes/)
})

t.test('a receipt token', async (t) => {
  const key = randomBytes(32)
  const now = Date.now()
  const claims = {
    tenant: 'acme',
    notificationId: '0198c0de-0000-8000-8000-000000000001',
    deliveryId: '0198c0de-0000-8000-8000-000000000002',
    expiresAt: Math.ceil(now / 1000) * 1000 + 60_000,
  }
  const token = signReceiptToken(key, claims)
  const refused = { code: 'RECEIPT_TOKEN_INVALID' }

  t.same(verifyReceiptToken(key, token, now), claims, 'tells what may be acknowledged')
  t.same(verifyReceiptToken([randomBytes(32), key], token, now), claims, 'with an older key too')
  t.ok(token.length <= 80, `is short: ${token.length} characters`)
  t.match(token, /^[\w-]+$/)
  t.throws(() => verifyReceiptToken(key, token, claims.expiresAt + 1), { ...refused, message: /expired/ })
  t.throws(() => verifyReceiptToken(randomBytes(32), token, now), refused)
  const bytes = Buffer.from(token, 'base64url')
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes)
    changed[index] = (changed[index] ?? 0) ^ 1
    t.throws(() => verifyReceiptToken(key, changed.toString('base64url'), now), refused)
  }
  for (const odd of ['', 'x', 'é'.repeat(90), 'A'.repeat(100_000)]) {
    t.throws(() => verifyReceiptToken(key, odd, now), refused)
  }
  t.throws(() => signReceiptToken(key, { ...claims, deliveryId: 'd-1' }), /UUID/)
})

t.test('egress', async (t) => {
  const guard = createEgressGuard({ allowPrivate: false })
  const inside =
    '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 ' +
    ':: ::1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 fc00::1 fd12::1 fe80::1 ff02::1 2001:db8::1 2002:7f00:1::1 not-an-address'
  for (const ip of inside.split(' ')) t.notOk(guard.allows(ip), `does not reach ${ip}`)
  for (const ip of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111'])
    t.ok(guard.allows(ip), `reaches ${ip}`)
  t.ok(createEgressGuard({ allowPrivate: true }).allows('127.0.0.1'), 'reaches inside only when told')

  const looked = await new Promise<Error | null>((resolve) => {
    guardedLookup(guard)('localhost', { all: true }, (error) => resolve(error))
  })
  t.match(looked, { code: 'EGRESS_REFUSED' }, 'a name that leads inside is not dialled')

  for (const endpoint of [
    'https://fcm.googleapis.com/fcm/send/x',
    'https://updates.push.services.mozilla.com/wpush/v2/x',
    'https://web.push.apple.com/x',
    'https://wns2-par02p.notify.windows.com/w/?token=x',
  ]) {
    t.ok(checkEndpoint(endpoint, guard, []), `knows ${endpoint}`)
  }
  t.throws(() => checkEndpoint('https://push.example/x', guard, []), { code: 'EGRESS_REFUSED' })
  t.ok(checkEndpoint('https://push.example:8443/x', guard, ['push.example']), 'or is told of others')
  t.ok(checkEndpoint('https://a.push.example/x', guard, ['*.push.example']))
  t.throws(() => checkEndpoint('https://evilpush.example/x', guard, ['*.push.example']), {
    code: 'EGRESS_REFUSED',
  })
})

t.test('Retry-After', async (t) => {
  t.equal(retryAfterMs('37', 0), 37_000)
  t.equal(retryAfterMs('Thu, 01 Jan 1970 00:01:00 GMT', 0), 60_000)
  t.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:00 GMT', 60_000), 0)
  t.equal(retryAfterMs('999999999', 0), 86_400_000)
  for (const odd of [undefined, '', 'soon', '-5']) t.notOk(retryAfterMs(odd, Date.now()))
})
