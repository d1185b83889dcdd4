import t from 'tap'
import { apnsVerdict } from './apns/verdict.js'
import { fcmVerdict } from './fcm/verdict.js'
import type { Outgoing } from './message.js'
import { sendEach } from './send-each.js'
import { smsVerdict } from './sms/verdict.js'
import { smtpVerdict } from './smtp/verdict.js'
import type { Verdict } from './verdict.js'
import { webhookVerdict } from './webhook/verdict.js'
import { webPushVerdict } from './webpush/verdict.js'

const shown = (verdict: Verdict) => ('reason' in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind)

t.test('FCM: each answer has one verdict', async (t) => {
  const fcm = (status: number, error: object, retryAfter?: string) =>
    shown(
      fcmVerdict(
        { kind: 'answer', status, text: JSON.stringify({ error }), headers: { 'retry-after': retryAfter } },
        0,
      ),
    )
  const coded = (errorCode: string, more: object = {}) => ({ details: [{ errorCode }], ...more })
  t.equal(fcm(404, coded('UNREGISTERED')), 'address UNREGISTERED')
  t.equal(
    fcm(400, coded('INVALID_ARGUMENT', { message: 'Message is too big' })),
    'message INVALID_ARGUMENT: Message is too big',
  )
  t.equal(
    fcm(400, {
      status: 'INVALID_ARGUMENT',
      message: 'The registration token is not a valid FCM registration token',
    }),
    'address INVALID_TOKEN',
  )
  t.equal(fcm(403, coded('SENDER_ID_MISMATCH')), 'address SENDER_ID_MISMATCH')
  t.equal(fcm(403, { status: 'PERMISSION_DENIED' }), 'config PERMISSION_DENIED')
  t.equal(fcm(401, coded('THIRD_PARTY_AUTH_ERROR')), 'config THIRD_PARTY_AUTH_ERROR')
  t.equal(fcm(401, { status: 'UNAUTHENTICATED' }), 'config UNAUTHENTICATED')
  t.equal(fcm(429, coded('QUOTA_EXCEEDED')), 'retry QUOTA_EXCEEDED')
  t.equal(fcm(503, coded('UNAVAILABLE')), 'retry UNAVAILABLE')
  t.equal(fcm(500, coded('INTERNAL')), 'retry INTERNAL')
  t.equal(
    shown(fcmVerdict({ kind: 'answer', status: 502, text: '<html>', headers: {} }, 0)),
    'retry HTTP_502',
  )
  t.equal(
    shown(fcmVerdict({ kind: 'answer', status: 404, text: '<html>', headers: {} }, 0)),
    'config PROJECT_NOT_FOUND',
  )
  t.match(fcmVerdict({ kind: 'answer', status: 200, text: '{"name":"m"}', headers: {} }, 0), {
    providerId: 'm',
  })
  t.equal(shown(fcmVerdict({ kind: 'no-answer', reason: 'TIMEOUT' }, 0)), 'unknown TIMEOUT')
  t.equal(
    shown(fcmVerdict({ kind: 'not-sent', reason: 'REFUSED_STREAM', refused: false }, 0)),
    'retry REFUSED_STREAM',
  )
})

t.test('SMS: each answer has one verdict', async (t) => {
  const sms = (status: number, code?: number, headers: Record<string, string> = {}) =>
    smsVerdict(
      { kind: 'answer', status, headers, text: code === undefined ? '<html>' : `{"code":${code}}` },
      0,
    )
  const kinds: Record<string, [number, number][]> = {
    address: [
      [400, 21211],
      [400, 21214],
      [400, 21217],
      [400, 21614],
      [400, 21635],
      [400, 21408],
      [400, 21610],
      [400, 21612],
    ],
    config: [
      [401, 20003],
      [403, 20005],
      [404, 20404],
      [400, 21212],
      [400, 21603],
      [400, 21606],
      [400, 21609],
      [400, 21703],
      [400, 63038],
    ],
    message: [
      [400, 21602],
      [400, 21617],
      [400, 21619],
    ],
    retry: [
      [429, 20429],
      [503, 20503],
      [400, 21611],
      [400, 14107],
    ],
    unknown: [[500, 20500]],
  }
  for (const [kind, answers] of Object.entries(kinds)) {
    for (const [status, code] of answers) t.equal(shown(sms(status, code)), `${kind} TWILIO_${code}`)
  }
  for (const code of [21211, 21614]) t.notMatch(sms(400, code), { suspend: true }, `${code} is dead`)
  t.match(sms(400, 21408), { suspend: true }, 'may come back')
  t.match(sms(400, 21610), { stopped: true }, 'the person said STOP')
  t.same(sms(429, 20429, { 'retry-after': '7' }), { kind: 'retry', reason: 'TWILIO_20429', afterMs: 7_000 })
  t.same(sms(429), { kind: 'retry', reason: 'HTTP_429', afterMs: 10_000 })
  t.equal(shown(sms(502)), 'unknown HTTP_502', 'a gateway may have lost the answer alone')
  t.equal(shown(sms(403)), 'config HTTP_403')
  t.equal(shown(sms(301)), 'config HTTP_301')
  t.same(smsVerdict({ kind: 'answer', status: 201, headers: {}, text: '{"sid":"SM1"}' }, 0), {
    kind: 'accepted',
    providerId: 'SM1',
  })
  t.same(smsVerdict({ kind: 'answer', status: 201, headers: {}, text: 'null' }, 0), { kind: 'accepted' })
  t.equal(shown(smsVerdict({ kind: 'no-answer', reason: 'TIMEOUT' }, 0)), 'unknown TIMEOUT')
  t.equal(
    shown(smsVerdict({ kind: 'not-sent', reason: 'ECONNREFUSED', refused: false }, 0)),
    'retry ECONNREFUSED',
  )
  t.equal(
    shown(smsVerdict({ kind: 'not-sent', reason: 'EGRESS_REFUSED', refused: true }, 0)),
    'config URL_REFUSED',
  )
})

t.test('APNs: each answer has one verdict', async (t) => {
  const kinds: Record<string, [number, string][]> = {
    address: [
      [400, 'BadDeviceToken'],
      [400, 'DeviceTokenNotForTopic'],
      [410, 'Unregistered'],
      [410, 'ExpiredToken'],
    ],
    message: [
      [413, 'PayloadTooLarge'],
      [400, 'PayloadEmpty'],
      [400, 'BadCollapseId'],
      [400, 'BadPriority'],
    ],
    config: [
      [403, 'InvalidProviderToken'],
      [400, 'TopicDisallowed'],
      [400, 'MissingTopic'],
      [404, 'BadPath'],
      [403, 'Forbidden'],
    ],
    retry: [
      [429, 'TooManyRequests'],
      [429, 'TooManyProviderTokenUpdates'],
      [500, 'InternalServerError'],
      [503, 'Shutdown'],
      [403, 'ExpiredProviderToken'],
    ],
  }
  for (const [kind, answers] of Object.entries(kinds)) {
    for (const [status, reason] of answers)
      t.equal(apnsVerdict({ kind: 'answer', status, reason }).kind, kind, reason)
  }
  t.match(apnsVerdict({ kind: 'answer', status: 410, reason: 'Unregistered', timestamp: 5 }), { at: 5 })
  t.match(apnsVerdict({ kind: 'answer', status: 429, reason: 'TooManyRequests' }), { afterMs: 60_000 })
})

t.test('Web Push and webhooks: each answer has one verdict', async (t) => {
  const answer = (status: number, text = '') => ({ kind: 'answer', status, headers: {}, text }) as const
  const push = (status: number, text?: string) => shown(webPushVerdict(answer(status, text), 0))
  t.same(
    [201, 404, 410, 413, 429, 503, 302, 400].map((status) => push(status)),
    [
      'accepted',
      'address NOT_FOUND',
      'address GONE',
      'message PAYLOAD_TOO_LARGE',
      'retry TOO_MANY_REQUESTS',
      'retry HTTP_503',
      'address REDIRECTED',
      'message HTTP_400',
    ],
  )
  t.equal(push(403, 'VAPID public key mismatch'), 'address VAPID_MISMATCH')
  t.equal(push(403, '{"reason":"BadJwtToken"}'), 'config VAPID_REFUSED_403')
  t.same(
    [200, 204, 302, 400, 401, 410, 429, 500].map((status) => webhookVerdict(answer(status), 0).kind),
    ['accepted', 'accepted', 'address', 'retry', 'retry', 'address', 'retry', 'retry'],
  )
})

t.test('SMTP: each answer has one verdict', async (t) => {
  const smtp = (responseCode: number | undefined, response = '', command = 'RCPT TO', more = {}) =>
    smtpVerdict({
      code: 'EENVELOPE',
      systemCode: '',
      responseCode,
      command,
      response,
      contentBegun: false,
      ...more,
    })
  t.match(smtp(550, '550 5.1.1 unknown'), { kind: 'address' })
  t.match(smtp(552, '552 5.2.2 full'), { kind: 'address', suspend: true })
  t.match(smtp(450), { kind: 'retry', afterMs: 60_000 })
  t.match(smtp(421), { kind: 'retry', afterMs: 30_000 })
  t.match(smtp(550, '550 5.7.1 policy'), { kind: 'message' })
  t.match(smtp(554, '554 no', 'DATA'), { kind: 'message' })
  t.match(smtp(550, '550 sender refused', 'MAIL FROM'), { kind: 'config' })
  t.match(smtp(535, '', 'AUTH PLAIN', { code: 'EAUTH' }), { kind: 'config' })
  t.match(smtp(454, '', 'AUTH PLAIN', { code: 'EAUTH' }), { kind: 'retry' })
  t.match(smtp(undefined, '', 'CONN', { code: 'ETIMEDOUT' }), { kind: 'retry' })
  t.match(smtp(undefined, '', 'CONN', { code: 'ECONNECTION', contentBegun: true }), { kind: 'unknown' })
})

t.test('a batch', async (t) => {
  const batch = Array.from({ length: 6 }, (_, index) => ({ attempt: index }) as Outgoing)
  const never = new AbortController().signal

  t.test('keeps its order whatever finishes first, and a throw is only its own', async (t) => {
    const verdicts = await sendEach(
      batch,
      { signal: never, batchMs: 5000, concurrency: 3 },
      async ({ attempt }) => {
        for (let turn = 6 - attempt; turn > 0; turn--) await Promise.resolve()
        if (attempt === 2) throw new Error('broken')
        return { kind: 'accepted', providerId: String(attempt) }
      },
    )
    t.match(verdicts, [
      { providerId: '0' },
      { providerId: '1' },
      { kind: 'unknown', reason: 'broken' },
      { providerId: '3' },
    ])
    t.equal(verdicts.length, 6)
  })

  t.test('settles at its deadline: unknown for what was begun, retry for what was not', async (t) => {
    const started = Date.now()
    const verdicts = await sendEach(
      batch,
      { signal: never, batchMs: 400, concurrency: 2 },
      () => new Promise(() => undefined),
    )
    t.ok(Date.now() - started < 30_000)
    t.same(
      verdicts.map(({ kind }) => kind),
      ['unknown', 'unknown', 'retry', 'retry', 'retry', 'retry'],
    )
  })
})
