import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { bounceLocalPart, claimedBounce, readBounceAddress, tenantMark } from './bounce-address.js'

const key = Buffer.alloc(32, 7)
const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`))
const claims = fc
  .record({
    time: hex(12),
    run: hex(17),
    delivery: hex(17),
    tenant: fc.stringMatching(/^[a-z0-9-]{1,64}$/),
  })
  .map(({ time, run, delivery, tenant }) => {
    const id = (rest: string) =>
      `${time.slice(0, 8)}-${time.slice(8)}-8${rest.slice(0, 3)}-8${rest.slice(3, 6)}-${rest.slice(5)}`
    return { tenant, notificationId: id(run), deliveryId: id(delivery) }
  })

t.test('leads back to the delivery, its run and its tenant, in any case and at any domain', async (t) => {
  fc.assert(
    fc.property(claims, fc.infiniteStream(fc.boolean()), (one, cases) => {
      const local = bounceLocalPart(key, one)
      const relayed = [...local]
        .map((letter) => (cases.next().value ? letter.toUpperCase() : letter))
        .join('')
      const { notificationId, deliveryId } = one
      const wanted = { tenantMark: tenantMark(one.tenant), notificationId, deliveryId }
      t.same(readBounceAddress([randomBytes(32), key], `${relayed}@Bounce.Example`), wanted)
      t.same(claimedBounce(local), wanted)
      t.ok(local.length <= 64 && /^[a-z2-7]+$/.test(local))
    }),
    { numRuns: 100 },
  )
})

t.test('is nobody’s once a character is changed, added or lost, or under another key', async (t) => {
  const one = fc.sample(claims, { numRuns: 1, seed: 4 })[0]
  if (one === undefined) return t.fail('no sample')
  const local = bounceLocalPart(key, one)
  t.ok(readBounceAddress(key, local))
  for (let at = 0; at < local.length; at++) {
    for (const letter of 'abcdefghijklmnopqrstuvwxyz234567018+=.') {
      if (letter === local[at]) continue
      t.equal(readBounceAddress(key, local.slice(0, at) + letter + local.slice(at + 1)), undefined)
    }
    t.equal(readBounceAddress(key, local.slice(0, at) + local.slice(at + 1)), undefined)
  }
  t.equal(readBounceAddress(key, `${local}a@bounce.example`), undefined)
  t.equal(readBounceAddress(randomBytes(32), local), undefined)
  t.equal(readBounceAddress([], local), undefined)
  for (const other of [
    '',
    '@',
    'b',
    'bounce@a.example',
    'b'.repeat(64),
    '\u0000'.repeat(64),
    'é'.repeat(64),
  ]) {
    t.equal(readBounceAddress(key, other), undefined)
  }
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => readBounceAddress(key, text) === undefined))
})

t.test('is made only for ids of one run', async (t) => {
  const at = (time: string) => `${time}-0000-8000-8000-000000000001`
  t.throws(() =>
    bounceLocalPart(key, { tenant: 'a', notificationId: at('0198c0de'), deliveryId: at('0198c0df') }),
  )
  t.throws(() => bounceLocalPart(key, { tenant: 'a', notificationId: 'n-1', deliveryId: 'd-1' }), /UUID/)
})
