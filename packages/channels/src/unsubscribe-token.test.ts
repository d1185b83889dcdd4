import { randomBytes } from 'node:crypto'
import t from 'tap'
import { signReceiptToken } from './receipt-token.js'
import { signUnsubscribeToken, type UnsubscribeClaims, verifyUnsubscribeToken } from './unsubscribe-token.js'

const userId = '0197725a-9c7b-8abc-8def-0123456789ab'
const key = randomBytes(32)
const claims = (changes: Partial<UnsubscribeClaims> = {}): UnsubscribeClaims => ({
  tenant: 'acme',
  userId,
  category: 'offers',
  ...changes,
})
const invalid = { code: 'UNSUBSCRIBE_TOKEN_INVALID' }

t.test('what was signed is read again, and it fits into an address as it is', async (t) => {
  const said = [
    claims(),
    claims({ category: null }),
    claims({ tenant: 't'.repeat(64), category: 'c'.repeat(64) }),
    claims({ category: 'angebote-für-🚲' }),
  ]
  for (const one of said) {
    const token = signUnsubscribeToken(key, one)
    t.match(token, /^[A-Za-z0-9_-]{1,400}$/)
    t.same(verifyUnsubscribeToken(key, token), one)
    t.equal(signUnsubscribeToken(key, one), token, 'the same every time: a repeated attempt is the same mail')
  }
})

t.test('tenant and category can not be shifted into each other', async (t) => {
  const one = signUnsubscribeToken(key, claims({ tenant: 'acme', category: 'xoffers' }))
  const other = signUnsubscribeToken(key, claims({ tenant: 'acmex', category: 'offers' }))
  t.not(one, other)
  t.match(verifyUnsubscribeToken(key, other), { tenant: 'acmex', category: 'offers' })
})

t.test('no byte of it can be changed, cut off or added', async (t) => {
  const bytes = Buffer.from(signUnsubscribeToken(key, claims()), 'base64url')
  for (let place = 0; place < bytes.length; place++) {
    const changed = Buffer.from(bytes)
    changed[place] = (changed[place] as number) ^ 1
    t.throws(() => verifyUnsubscribeToken(key, changed.toString('base64url')), invalid, `byte ${place}`)
    t.throws(() => verifyUnsubscribeToken(key, bytes.subarray(0, place).toString('base64url')), invalid)
  }
  t.throws(
    () => verifyUnsubscribeToken(key, Buffer.concat([bytes, Buffer.from('x')]).toString('base64url')),
    invalid,
  )
  for (const text of ['', '%', 'a'.repeat(401), '🚲'.repeat(40)])
    t.throws(() => verifyUnsubscribeToken(key, text), invalid)
})

t.test('every living key opens it, and a receipt token of the same key is none', async (t) => {
  const token = signUnsubscribeToken(key, claims())
  t.same(verifyUnsubscribeToken([randomBytes(32), key], token), claims())
  t.throws(() => verifyUnsubscribeToken([randomBytes(32)], token), invalid)
  t.throws(() => verifyUnsubscribeToken([], token), invalid)
  const ids = { tenant: 'acme', notificationId: userId, deliveryId: userId }
  // an expiry whose first byte reads as our version
  const receipt = signReceiptToken(key, { ...ids, expiresAt: 0x01_00_00_00 * 1000 })
  t.throws(() => verifyUnsubscribeToken(key, receipt), invalid)
})

t.test('it is made for ids of ours alone', async (t) => {
  t.throws(() => signUnsubscribeToken(key, claims({ userId: 'ada' })), /internal id/)
})
