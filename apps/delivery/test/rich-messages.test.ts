import { type Address, openSender, type Provider } from '@carillon/channels'
import type { SaidOptions } from '@carillon/contracts'
import { startSimulators } from '@carillon/simulators'
import t from 'tap'
import { messageOf, type Said } from '../src/message-of.js'

/** What a run holds of a workflow that says everything. */
const TEXTS = {
  title: 'Mira is on the way',
  subtitle: 'white Skoda',
  body: '4 min',
  url: 'https://rides.example/7',
  imageUrl: 'https://rides.example/7.png',
  actions: [
    { id: 'call', title: 'Call Mira', url: 'https://rides.example/7/call' },
    { id: 'cancel', title: 'Cancel' },
  ],
  data: { ride: 'r-7', stops: ['a', 'b'] },
  replyTo: 'r-7@rides.example',
}
const PUSH: SaidOptions = {
  priority: 'high',
  ttlSeconds: 300,
  badge: 'unread',
  sound: 'bell.caf',
  channelId: 'rides',
  threadId: 'ride r-7',
  interruption: 'time-sensitive',
  analyticsLabel: 'accepted',
  collapseKey: 'ride-7',
  overrides: {
    fcm: { android: { notification: { color: '#00aa00' } } },
    apns: { aps: { 'target-content-id': 'r-7' } },
    webpush: { notification: { lang: 'en' } },
  },
}

const simulators = await startSimulators({ allow: 'development' })
t.teardown(() => simulators[Symbol.asyncDispose]())

/** What the provider hands to the address of this delivery. */
async function arrives(provider: Provider, address: Address, said: Partial<Said> = {}) {
  const message = messageOf({
    runId: 'run',
    step: 1,
    channel: 'push',
    lane: 'normal',
    expiresAt: null,
    collapseKey: 'of the workflow',
    content: { inbox: TEXTS, '1': { options: PUSH } },
    unread: 3,
    ...said,
  })
  const ids = {
    notificationId: '0198c0de-1111-8000-8000-000000000001',
    deliveryId: '0198c0de-0000-8000-8000-000000000001',
  }
  const outgoing = { ...ids, tenant: 'acme', attempt: 1, receiptToken: 'rt', address, message }
  const settings = {
    ...simulators.settingsForChannels,
    timeouts: { connectMs: 10_000, requestMs: 10_000, batchMs: 20_000 },
  }
  await using sender = openSender(provider, simulators.credentials[provider], settings)
  const verdicts = await sender.send([outgoing], new AbortController().signal)
  if (verdicts[0]?.kind !== 'accepted') throw new Error(JSON.stringify(verdicts))
  return simulators.inbox.list().at(-1)
}

t.test('FCM gets every word and every option', async (t) => {
  const { token } = simulators.fcm.registerDevice()
  const { raw } = (await arrives('fcm', { kind: 'fcm', token })) ?? {}
  t.match(raw, {
    notification: { title: TEXTS.title, body: TEXTS.body, image: TEXTS.imageUrl },
    data: { ride: 'r-7', stops: '["a","b"]', url: TEXTS.url, actions: JSON.stringify(TEXTS.actions) },
    android: {
      priority: 'high',
      ttl: '300s',
      collapse_key: 'ride-7',
      notification: {
        tag: 'ride-7',
        channel_id: 'rides',
        notification_count: 3,
        sound: 'bell.caf',
        color: '#00aa00',
      },
    },
    apns: {
      payload: {
        aps: { alert: { subtitle: TEXTS.subtitle }, badge: 3, 'thread-id': 'ride r-7', sound: 'bell.caf' },
      },
    },
    fcmOptions: { analyticsLabel: 'accepted' },
  })
})

t.test('APNs gets every word and every option', async (t) => {
  const { token } = simulators.apns.registerDevice()
  const { raw } = (await arrives('apns', { kind: 'apns', token, environment: 'sandbox' })) ?? {}
  t.match(raw, {
    headers: { 'apns-priority': '10', 'apns-collapse-id': 'ride-7', 'apns-push-type': 'alert' },
    payload: {
      aps: {
        alert: { title: TEXTS.title, subtitle: TEXTS.subtitle, body: TEXTS.body },
        badge: 3,
        sound: 'bell.caf',
        'thread-id': 'ride r-7',
        'interruption-level': 'time-sensitive',
        category: 'rides',
        'target-content-id': 'r-7',
      },
      image: TEXTS.imageUrl,
      url: TEXTS.url,
      ride: 'r-7',
      actions: JSON.stringify(TEXTS.actions),
    },
  })
  const { headers } = raw as { headers: Record<string, string> }
  const livesFor = Number(headers['apns-expiration']) - Date.now() / 1000
  t.ok(livesFor > 200 && livesFor <= 301, `${livesFor} s`)
})

t.test('a browser gets every word, and the options that it has', async (t) => {
  const { endpoint, keys } = simulators.webpush.registerDevice().subscription
  const { raw } = (await arrives('webpush', { kind: 'webpush', endpoint, ...keys })) ?? {}
  t.match(raw, {
    notification: {
      title: TEXTS.title,
      body: TEXTS.body,
      navigate: TEXTS.url,
      image: TEXTS.imageUrl,
      lang: 'en',
      actions: [
        { action: 'call', title: 'Call Mira', navigate: 'https://rides.example/7/call' },
        { action: 'cancel', title: 'Cancel' },
      ],
      data: { ride: 'r-7', stops: '["a","b"]' },
    },
    app_badge: 3,
  })
})

t.test('a mail, a text and a webhook get what they have a place for', async (t) => {
  const mail = await arrives('smtp', { kind: 'email', email: 'ada@example.com' }, { channel: 'email' })
  t.match(mail, {
    title: TEXTS.title,
    body: /4 min\s+https:\/\/rides\.example\/7\s+Call Mira: https:\/\/rides\.example\/7\/call/,
  })
  t.match(JSON.stringify(mail?.raw), /r-7@rides\.example/, 'where answers go')
  const answered = await arrives(
    'smtp',
    { kind: 'email', email: 'ada@example.com' },
    {
      channel: 'email',
      content: {
        inbox: TEXTS,
        '1': { options: { replyTo: 'b@rides.example', overrides: { smtp: { subject: 'Other' } } } },
      },
    },
  )
  t.equal(answered?.title, 'Other')
  t.match(JSON.stringify(answered?.raw), /b@rides\.example/)
  const text = await arrives('sms', { kind: 'sms', phone: '+447700900123' }, { channel: 'sms' })
  t.equal(text?.body, `${TEXTS.title}\n${TEXTS.body}\n${TEXTS.url}`)
  const hook = await arrives(
    'webhook',
    { kind: 'webhook', url: simulators.webhook.url, secrets: [simulators.webhook.secret] },
    { channel: 'webhook' },
  )
  t.match(hook?.raw, { payload: { data: { message: { title: TEXTS.title, actions: TEXTS.actions } } } })
})

t.test('a silent push wakes the app and shows nothing', async (t) => {
  const content = { inbox: TEXTS, '1': { options: { silent: true, ttlSeconds: 0 } } }
  const android = await arrives(
    'fcm',
    { kind: 'fcm', token: simulators.fcm.registerDevice().token },
    { content },
  )
  t.equal(android?.silent, true)
  t.match(android?.raw, {
    notification: undefined,
    data: { ride: 'r-7', badge: '3' },
    android: { ttl: '0s' },
  })
  const { token } = simulators.apns.registerDevice()
  const iphone = await arrives('apns', { kind: 'apns', token, environment: 'sandbox' }, { content })
  t.equal(iphone?.silent, true)
  t.match(iphone?.raw, {
    headers: { 'apns-push-type': 'background', 'apns-priority': '5', 'apns-expiration': '0' },
    payload: { aps: { 'content-available': 1, alert: undefined } },
  })
})
