import fc from 'fast-check'
import t from 'tap'
import { apnsPayload } from './apns/payload.js'
import { fcmPayload } from './fcm/payload.js'
import { fit } from './fit-provider.js'
import type { Address, Message, Outgoing, OutgoingTo } from './message.js'
import { readSmtpCredentials } from './smtp/credentials.js'
import { smtpPayload } from './smtp/payload.js'
import { signWebhook, webhookBody } from './webhook/payload.js'
import { webPushPayload } from './webpush/payload.js'

const NOW = 1_760_000_000_000
const FULL: Message = {
  title: 'Your driver is here',
  body: 'Ana waits at the corner',
  subtitle: 'Ride 4711',
  imageUrl: 'https://img.example/a.png',
  url: 'https://rides.example/4711',
  actions: [{ id: 'call', title: 'Call', url: 'https://rides.example/4711/call' }],
  data: { ride: '4711', nid: 'forged' },
  priority: 'high',
  ttlSeconds: 600,
  collapseKey: 'ride 4711',
  badge: 3,
  sound: 'bell',
  channelId: 'rides',
  threadId: 'ride-4711',
  interruption: 'time-sensitive',
  analyticsLabel: 'driver here!',
  html: '<p>Ana waits</p>',
  replyTo: 'support@rides.example',
  listUnsubscribeUrl: 'https://carillon.example/u/1',
}

function to<K extends Address['kind']>(
  address: Extract<Address, { kind: K }>,
  message: Message,
): OutgoingTo<K> {
  const ids = { deliveryId: 'd-1', notificationId: 'n-1', tenant: 'acme', attempt: 1, receiptToken: 'rt-1' }
  return { ...ids, address, message } as OutgoingTo<K>
}
const phone = { kind: 'fcm', token: 'token' } as const
const iphone = { kind: 'apns', token: 'ab' } as const
const browser = { kind: 'webpush', endpoint: 'https://push.example/1', p256dh: 'p', auth: 'a' } as const
const mailbox = { kind: 'email', email: 'ana@mail.example', name: 'Ana' } as const
const hook = {
  kind: 'webhook',
  url: 'https://hook.example/',
  secrets: [`whsec_${Buffer.alloc(24, 1).toString('base64')}`],
}

t.test('the golden payload of each provider', async (t) => {
  t.strictSame(fcmPayload(to(phone, FULL), NOW), {
    token: 'token',
    notification: { title: FULL.title, body: FULL.body, imageUrl: FULL.imageUrl },
    data: {
      ride: '4711',
      url: FULL.url,
      actions: JSON.stringify(FULL.actions),
      nid: 'n-1',
      did: 'd-1',
      rt: 'rt-1',
    },
    android: {
      priority: 'high',
      ttl: 600_000,
      collapseKey: 'ride 4711',
      notification: {
        channelId: 'rides',
        tag: 'ride 4711',
        notificationCount: 3,
        sound: 'bell',
        priority: 'high',
      },
    },
    apns: {
      headers: {
        'apns-expiration': '1760000600',
        'apns-priority': '10',
        'apns-collapse-id': 'GTFCdJVp4A8EinFX-oyDTE5o_6HAndhX',
      },
      payload: { aps: { mutableContent: true, badge: 3, sound: 'bell', threadId: 'ride-4711' } },
    },
    fcmOptions: { analyticsLabel: 'driver_here_' },
  })

  const { headers, body } = apnsPayload(to(iphone, FULL), 'dev.rides', NOW)
  t.match(headers, {
    'apns-topic': 'dev.rides',
    'apns-push-type': 'alert',
    'apns-priority': 10,
    'apns-expiration': 1_760_000_600,
    'apns-id': /^[0-9a-f-]{36}$/,
    'apns-collapse-id': /^[\w-]{43}$/,
  })
  t.strictSame(JSON.parse(body), {
    aps: {
      alert: { title: FULL.title, subtitle: 'Ride 4711', body: FULL.body },
      'mutable-content': 1,
      badge: 3,
      sound: 'bell',
      'thread-id': 'ride-4711',
      'interruption-level': 'time-sensitive',
      category: 'rides',
    },
    image: FULL.imageUrl,
    ride: '4711',
    url: FULL.url,
    actions: JSON.stringify(FULL.actions),
    nid: 'n-1',
    did: 'd-1',
    rt: 'rt-1',
  })

  const push = webPushPayload(to(browser, FULL), NOW)
  t.match(push, { ttlSeconds: 600, urgency: 'high', topic: /^[\w-]{32}$/ })
  t.strictSame(JSON.parse(push.body), {
    web_push: 8030,
    notification: {
      title: FULL.title,
      body: FULL.body,
      navigate: FULL.url,
      tag: push.topic,
      image: FULL.imageUrl,
      actions: [{ action: 'call', title: 'Call', navigate: 'https://rides.example/4711/call' }],
      data: { ride: '4711', url: FULL.url, nid: 'n-1', did: 'd-1', rt: 'rt-1' },
    },
    app_badge: '3',
    mutable: true,
  })

  const credentials = readSmtpCredentials({
    host: 'h',
    from: 'bells@rides.example',
    bounceDomain: 'bounce.example',
  })
  const mail = smtpPayload(to(mailbox, FULL), credentials)
  t.match(mail, {
    subject: FULL.title,
    text: `${FULL.body}\n\n${FULL.url}\n\nCall: https://rides.example/4711/call`,
    html: FULL.html,
    replyTo: 'support@rides.example',
    to: { name: 'Ana', address: 'ana@mail.example' },
    envelope: { from: 'bounce+d-1@bounce.example', to: ['ana@mail.example'] },
    messageId: '<d-1@bounce.example>',
    headers: { 'X-Carillon-Receipt': 'rt-1', 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' },
  })

  const called = to(hook as Extract<Address, { kind: 'webhook' }>, { title: 'Hi', priority: 'normal' })
  const text = webhookBody(called)
  t.equal(
    text,
    '{"type":"notification","data":{"nid":"n-1","did":"d-1","rt":"rt-1","message":{"title":"Hi","priority":"normal"}}}',
  )
  t.match(signWebhook(called, text, NOW), {
    'webhook-id': 'd-1',
    'webhook-timestamp': '1760000000',
    'webhook-signature': /^v1,[\w+/]{43}=$/,
  })
})

t.test('a silent push shows nothing and asks for no more than the platform allows', async (t) => {
  const silent: Message = { priority: 'high', silent: true, data: { sync: '1' }, ttlSeconds: 0 }
  const android = fcmPayload(to(phone, silent), NOW)
  t.equal(android.notification, undefined)
  t.match(android.data, { sync: '1', nid: 'n-1' })
  const { headers, body } = apnsPayload(to(iphone, silent), 'b', NOW)
  t.match(headers, { 'apns-push-type': 'background', 'apns-priority': 5, 'apns-expiration': 0 })
  t.match(JSON.parse(body), { aps: { 'content-available': 1 }, sync: '1', rt: 'rt-1' })
})

t.test('overrides are merged last, but never over our ids, recipients or prototypes', async (t) => {
  const overrides = {
    fcm: { android: { priority: 'normal' }, data: { nid: 'forged', extra: '1' }, token: 'other' },
    smtp: { subject: 'Other', to: 'eve@mail.example', envelope: {}, attachments: [{ path: '/etc/passwd' }] },
    apns: JSON.parse('{"__proto__":{"polluted":true},"aps":{"sound":"x"}}'),
  }
  const sent = fcmPayload(to(phone, { ...FULL, overrides }), NOW)
  t.match(sent, {
    token: 'token',
    android: { priority: 'normal', collapseKey: 'ride 4711' },
    data: { nid: 'n-1', extra: '1' },
  })
  const credentials = readSmtpCredentials({ host: 'h', from: 'bells@rides.example' })
  const mail = smtpPayload(to(mailbox, { ...FULL, overrides }), credentials)
  t.match(mail, {
    subject: 'Other',
    to: { address: 'ana@mail.example' },
    envelope: { to: ['ana@mail.example'] },
  })
  t.equal(mail.attachments, undefined)
  t.match(JSON.parse(apnsPayload(to(iphone, { ...FULL, overrides }), 'b', NOW).body), {
    aps: { sound: 'x', badge: 3 },
  })
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})

t.test('what expires sooner bounds how long a provider keeps it', async (t) => {
  const ttl = (more: Partial<Message>) =>
    webPushPayload(to(browser, { ...FULL, ttlSeconds: 600, ...more }), NOW).ttlSeconds
  t.equal(ttl({ expiresAt: NOW + 60_000 }), 60)
  t.equal(ttl({ expiresAt: NOW + 6_000_000 }), 600)
  t.equal(ttl({ ttlSeconds: 10 ** 9 }), 28 * 86_400)
  const { ttlSeconds: _none, ...open } = FULL
  t.equal(webPushPayload(to(browser, open), NOW).ttlSeconds, 86_400)
  t.equal(
    webPushPayload(to(browser, { ...open, expiresAt: NOW + 7 * 86_400_000 }), NOW).ttlSeconds,
    7 * 86_400,
  )
})

t.test('fit', async (t) => {
  const sizes = { fcm: 4096, apns: 4096, webpush: 3993 }
  const size = (outgoing: Outgoing): number => {
    const { kind } = outgoing.address
    if (kind === 'apns') return Buffer.byteLength(apnsPayload(outgoing as OutgoingTo<'apns'>, 'b', NOW).body)
    if (kind === 'webpush')
      return Buffer.byteLength(webPushPayload(outgoing as OutgoingTo<'webpush'>, NOW).body)
    const { data, notification, android } = fcmPayload(outgoing as OutgoingTo<'fcm'>, NOW)
    return Buffer.byteLength(JSON.stringify({ data, notification, android: android?.notification }))
  }

  t.test('leaves alone what fits', async (t) => {
    for (const address of [phone, iphone, browser]) {
      t.strictSame(fit(to(address as never, FULL), NOW), { message: FULL, clipped: [] })
    }
  })

  t.test('clips in its stated order and uses the room there is', async (t) => {
    const clipped = fit(to(iphone, { ...FULL, body: 'word '.repeat(2000) }), NOW)
    t.same(clipped.clipped, ['body'])
    t.ok(size(to(iphone, clipped.message)) > 4080)
    const crowded = { ...FULL, body: 'b'.repeat(5000), data: { big: 'd'.repeat(5000) } }
    const dropped = fit(to(phone, crowded), NOW)
    t.same(dropped.clipped, ['body', 'imageUrl, actions', 'data'])
    t.equal(dropped.message.data?.ref, '1')
    t.equal(dropped.message.title, FULL.title)
  })

  t.test('says so when nothing helps', async (t) => {
    t.throws(() => fit(to(browser, { ...FULL, url: `https://a.example/${'x'.repeat(5000)}` }), NOW), {
      code: 'PAYLOAD_TOO_LARGE',
    })
  })

  t.test('never goes over the limit and never splits a grapheme', async (t) => {
    const graphemes = ['a', 'ž', '👩‍👩‍👧‍👦', '🇸🇰', 'é', '"', '\\', '\u0001', 'न्त']
    const text = (max: number) =>
      fc.array(fc.constantFrom(...graphemes), { maxLength: max }).map((list) => list.join(''))
    const addresses = [phone, iphone, browser]
    fc.assert(
      fc.property(text(3000), text(600), fc.constantFrom(...addresses), (body, title, address) => {
        const fitted = fit(to(address as never, { ...FULL, body, title }), NOW)
        const whole = new Set([...new Intl.Segmenter().segment(body)].map(({ segment }) => segment)).add('…')
        const kept = [...new Intl.Segmenter().segment(fitted.message.body ?? '')].map(
          ({ segment }) => segment,
        )
        return (
          size(to(address as never, fitted.message)) <= sizes[address.kind] &&
          kept.every((one) => whole.has(one))
        )
      }),
      { numRuns: 60 },
    )
    t.pass('60 random messages')
  })
})
