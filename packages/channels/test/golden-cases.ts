import type { Address, Message } from '../src/index.js'

/** When the golden messages are sent. */
export const NOW = 1_760_000_000_000

const WORDS = { title: 'Your driver is here', body: 'Ana waits at the corner', priority: 'high' } as const

const RICH: Message = {
  ...WORDS,
  subtitle: 'Ride 4711',
  imageUrl: 'https://img.example/a.png',
  url: 'https://rides.example/4711',
  actions: [{ id: 'call', title: 'Call', url: 'https://rides.example/4711/call' }],
  data: { ride: '4711', nid: 'forged', from: 'reserved', aps: 'reserved' },
  ttlSeconds: 600,
  collapseKey: 'ride 4711',
  badge: 3,
  sound: 'bell',
  channelId: 'rides',
  threadId: 'ride-4711',
  interruption: 'time-sensitive',
  relevanceScore: 0.8,
  analyticsLabel: 'driver here!',
  html: '<p>Ana waits</p>',
  replyTo: 'support@rides.example',
  listUnsubscribeUrl: 'https://carillon.example/u/1',
}

/** One message of each kind. */
export const MESSAGES: Readonly<Record<string, Message>> = {
  plain: WORDS,
  rich: RICH,
  critical: { ...WORDS, interruption: 'critical', expiresAt: NOW + 90_000 },
  silent: { priority: 'high', silent: true, data: { sync: '1' }, ttlSeconds: 0, badge: 2 },
  'data-only': { ...RICH, dataOnly: true },
  clear: { priority: 'normal', clear: '0198c0de-2222-8000-8000-000000000001', collapseKey: 'ride-4711' },
  'live-activity-start': {
    ...WORDS,
    sound: 'bell',
    ttlSeconds: 60,
    relevanceScore: 75,
    liveActivity: {
      event: 'start',
      attributesType: 'RideAttributes',
      attributes: { ride: '4711' },
      contentState: { minutes: 4, driver: 'Ana' },
      at: NOW - 2_000,
      staleAt: NOW + 300_000,
    },
  },
  'live-activity-end': {
    priority: 'normal',
    liveActivity: { event: 'end', contentState: { minutes: 0 }, dismissAt: NOW + 60_000 },
  },
  topic: { ...WORDS, ttlSeconds: 3600 },
  condition: { ...WORDS, ttlSeconds: 3600 },
  'over-long': { ...RICH, body: 'Ana waits at the corner, '.repeat(500) },
  'over-long-topic': {
    ...RICH,
    body: 'Ana waits at the corner, '.repeat(500),
    subtitle: 'Ride 4711 '.repeat(40),
  },
  overrides: {
    ...WORDS,
    overrides: {
      fcm: {
        token: 'other',
        topic: 'other',
        data: { nid: 'forged', extra: '1' },
        android: { priority: 'normal' },
      },
      apns: JSON.parse('{"__proto__":{"polluted":true},"nid":"forged","aps":{"sound":"x","category":"y"}}'),
      webpush: { notification: { icon: 'https://img.example/i.png', data: { nid: 'forged', extra: '1' } } },
      smtp: { subject: 'Other', to: 'eve@mail.example', attachments: [{ path: '/etc/passwd' }] },
      sms: { Body: 'Other words', To: '+15005550001', MaxPrice: '0.1' },
      webhook: { data: { extra: 1 } },
    },
  },
  'non-latin': {
    priority: 'normal',
    title: 'Ваш водитель прибыл 🚕',
    body: '👩‍👩‍👧‍👦 आपकी सवारी यहाँ है\n“تصل آنا خلال دقيقتين” \u2028 日本語',
    collapseKey: 'поездка 4711',
    analyticsLabel: 'поездка',
  },
}

const android: Address = { kind: 'fcm', token: 'token-of-a-phone' }
const iphone: Address = { kind: 'apns', token: 'ab'.repeat(32) }
const browser: Address = { kind: 'webpush', endpoint: 'https://push.example/1', p256dh: 'p', auth: 'a' }
const mailbox: Address = { kind: 'email', email: 'ana@mail.example', name: 'Ana Žák' }
const telephone: Address = { kind: 'sms', phone: '+4366012345', statusUrl: 'https://carillon.example/sms' }
const hook: Address = {
  kind: 'webhook',
  url: 'https://hook.example/',
  secrets: [`whsec_${Buffer.alloc(24, 1).toString('base64')}`],
}
const activity = {
  fcm: { kind: 'fcm-live-activity', token: 'token-of-an-iphone', activityToken: 'cd'.repeat(40) },
  apns: { kind: 'apns-live-activity', token: 'cd'.repeat(40) },
} as const

const words = (address: Address) => ({
  plain: address,
  rich: address,
  overrides: address,
  'non-latin': address,
})
const device = (address: Address) => ({
  ...words(address),
  'over-long': address,
  critical: address,
  silent: address,
  'data-only': address,
  clear: address,
})

/** Which kinds each provider takes, and where they go. */
export const ADDRESSES: Readonly<Record<string, Readonly<Record<string, Address>>>> = {
  fcm: {
    ...device(android),
    topic: { kind: 'fcm-topic', topic: 'weather' },
    condition: { kind: 'fcm-topic', condition: "'weather' in topics && 'rides' in topics" },
    'over-long-topic': { kind: 'fcm-topic', topic: 'weather' },
    'live-activity-start': activity.fcm,
    'live-activity-end': activity.fcm,
  },
  apns: {
    ...device(iphone),
    'live-activity-start': activity.apns,
    'live-activity-end': activity.apns,
  },
  webpush: { ...words(browser), 'over-long': browser, critical: browser, 'data-only': browser },
  smtp: words(mailbox),
  sms: { ...words(telephone), 'over-long': telephone },
  webhook: words(hook),
}
