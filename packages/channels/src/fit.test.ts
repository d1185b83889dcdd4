import fc from 'fast-check'
import t from 'tap'
import { apnsPayload } from './apns/payload.js'
import { fcmPayload } from './fcm/payload.js'
import { fit } from './fit-provider.js'
import { type Address, isFor, type Message, type Outgoing } from './message.js'
import { smsText } from './sms/payload.js'
import { segmentsOf } from './sms/segments.js'
import { webhookBody } from './webhook/payload.js'
import { webPushPayload } from './webpush/payload.js'

const NOW = 1_760_000_000_000
const FULL: Message = {
  title: 'Your driver is here',
  body: 'Ana waits at the corner',
  subtitle: 'Ride 4711',
  imageUrl: 'https://img.example/a.png',
  url: 'https://rides.example/4711',
  actions: [{ id: 'call', title: 'Call', url: 'https://rides.example/4711/call' }],
  data: { ride: '4711' },
  priority: 'high',
  ttlSeconds: 600,
  collapseKey: 'ride 4711',
  threadId: 'ride-4711',
  liveActivity: { event: 'update', contentState: { minutes: 4 } },
}

const phone: Address = { kind: 'fcm', token: 'token' }
const iphone: Address = { kind: 'apns', token: 'ab' }
const browser: Address = { kind: 'webpush', endpoint: 'https://push.example/1', p256dh: 'p', auth: 'a' }
const topic: Address = { kind: 'fcm-topic', topic: 'weather' }
const activity: Address = { kind: 'apns-live-activity', token: 'ab' }
const telephone: Address = { kind: 'sms', phone: '+4366012345' }
const pushed: Address[] = [
  phone,
  topic,
  { kind: 'fcm-topic', condition: "'a' in topics" },
  { kind: 'fcm-live-activity', token: 'token', activityToken: 'ab' },
  iphone,
  activity,
  browser,
]

function to(address: Address, message: Message): Outgoing {
  const ids = { deliveryId: 'd-1', notificationId: 'n-1', tenant: 'acme', attempt: 1, receiptToken: 'rt-1' }
  return { ...ids, address, message }
}

/** What counts, and how much of it may be: bytes, but for texts, whose messages are counted. */
function measured(outgoing: Outgoing): { size: number; limit: number } {
  if (isFor(outgoing, 'apns'))
    return { size: Buffer.byteLength(apnsPayload(outgoing, 'b', NOW).body), limit: 4096 }
  if (isFor(outgoing, 'webpush'))
    return { size: Buffer.byteLength(webPushPayload(outgoing, NOW).body), limit: 3993 }
  if (isFor(outgoing, 'sms')) return { size: segmentsOf(smsText(outgoing)).count, limit: 10 }
  if (isFor(outgoing, 'webhook')) return { size: Buffer.byteLength(webhookBody(outgoing)), limit: 262_144 }
  if (!isFor(outgoing, 'fcm')) return { size: 0, limit: 0 }
  const { data, notification, android } = fcmPayload(outgoing, NOW)
  const counted = JSON.stringify({ data, notification, android: android?.notification })
  return {
    size: Buffer.byteLength(counted),
    limit: outgoing.address.kind === 'fcm-topic' ? 2048 : 4096,
  }
}

t.test('leaves alone what fits', async (t) => {
  for (const address of [...pushed, telephone]) {
    t.strictSame(fit(to(address, FULL), NOW), { message: FULL, clipped: [] }, address.kind)
  }
  const long = { ...FULL, body: 'b'.repeat(100_000) }
  t.strictSame(
    fit(to({ kind: 'email', email: 'a@b.example' }, long), NOW).message,
    long,
    'a mail may be long',
  )
})

t.test('clips in its stated order and uses the room there is', async (t) => {
  const clipped = fit(to(iphone, { ...FULL, body: 'word '.repeat(2000) }), NOW)
  t.same(clipped.clipped, ['body'])
  t.ok(measured(to(iphone, clipped.message)).size > 4080)
  const crowded = { ...FULL, body: 'b'.repeat(5000), data: { big: 'd'.repeat(5000) } }
  const dropped = fit(to(phone, crowded), NOW)
  t.same(dropped.clipped, ['body', 'imageUrl, actions', 'data'])
  t.equal(dropped.message.data?.ref, '1')
  t.equal(dropped.message.title, FULL.title)
})

t.test('gives a topic half of the room that a device has', async (t) => {
  const long = { ...FULL, body: 'word '.repeat(2000) }
  const { size } = measured(to(topic, fit(to(topic, long), NOW).message))
  t.ok(size > 1000 && size <= 2048, `${size} bytes without what is for iOS`)
})

t.test('says so when nothing helps', async (t) => {
  const far = { ...FULL, url: `https://a.example/${'x'.repeat(5000)}` }
  t.throws(() => fit(to(browser, far), NOW), { code: 'PAYLOAD_TOO_LARGE' })
  const state = { event: 'update', contentState: { all: 'x'.repeat(5000) } } as const
  t.throws(() => fit(to(activity, { ...FULL, liveActivity: state }), NOW), { code: 'PAYLOAD_TOO_LARGE' })
  t.throws(() => fit(to(phone, { priority: 'high', clear: 'x'.repeat(5000) }), NOW), {
    code: 'PAYLOAD_TOO_LARGE',
  })
})

t.test('never goes over the limit and never splits a grapheme', async (t) => {
  const graphemes = ['a', 'ž', '👩‍👩‍👧‍👦', '🇸🇰', 'é', '"', '\\', '\u0001', 'न्त']
  const text = (max: number) =>
    fc.array(fc.constantFrom(...graphemes), { maxLength: max }).map((list) => list.join(''))
  const parts = (of: string) => [...new Intl.Segmenter().segment(of)].map(({ segment }) => segment)
  const kinds = fc.record({ dataOnly: fc.boolean(), silent: fc.boolean() })
  fc.assert(
    fc.property(text(3000), text(600), fc.constantFrom(...pushed), kinds, (body, title, address, kind) => {
      const fitted = fit(to(address, { ...FULL, ...kind, body, title }), NOW).message
      const { size, limit } = measured(to(address, fitted))
      const whole = new Set(parts(body)).add('…')
      return size <= limit && parts(fitted.body ?? '').every((one) => whole.has(one))
    }),
    { numRuns: 100 },
  )
  t.pass('100 random messages')
})

t.test('keeps texts and webhooks under limits of their own', async (t) => {
  const hook: Address = { kind: 'webhook', url: 'https://hook.example/', secrets: [] }
  for (const address of [telephone, hook]) {
    for (const word of ['word ', 'न्त', '€']) {
      const { message, clipped } = fit(to(address, { ...FULL, body: word.repeat(100_000) }), NOW)
      const { size, limit } = measured(to(address, message))
      t.ok(size <= limit && size >= limit * 0.9, `${address.kind}: ${size} of ${limit}`)
      t.same(clipped, ['body'])
    }
  }
})
