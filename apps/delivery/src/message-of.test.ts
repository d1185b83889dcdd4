import { type Address, fit, type Message } from '@carillon/channels'
import { type SaidOptions, UNSUBSCRIBE_PLACE } from '@carillon/contracts'
import t from 'tap'
import { messageOf, type Said, withUnsubscribeLink } from './message-of.js'

const NOW = 1_790_000_000_000
const push = (changes: Partial<Said> = {}): Said => ({
  runId: 'run',
  step: 1,
  channel: 'push',
  lane: 'normal',
  expiresAt: null,
  collapseKey: null,
  content: { inbox: { title: 'Hello', body: 'You' } },
  unread: null,
  ...changes,
})
const saying = (options: SaidOptions, changes: Partial<Said> = {}) =>
  messageOf(push({ content: { inbox: { title: 'Hello' }, '1': { options } }, ...changes }))

t.test('a step that says nothing of it is sent as its lane and its texts have it', async (t) => {
  t.strictSame(messageOf(push()), { priority: 'high', title: 'Hello', body: 'You', collapseKey: 'run' })
  t.strictSame(messageOf(push({ lane: 'bulk', collapseKey: 'ride', expiresAt: new Date(NOW) })), {
    priority: 'normal',
    title: 'Hello',
    body: 'You',
    expiresAt: NOW,
    collapseKey: 'ride',
  })
  t.strictSame(messageOf(push({ content: null })), { priority: 'high', collapseKey: 'run' })
  t.equal(messageOf(push({ lane: 'high' })).priority, 'high')
})

t.test('everything that texts say is told', async (t) => {
  const said = {
    title: 'T',
    subtitle: 'S',
    body: 'B',
    url: 'https://a.example/',
    imageUrl: 'https://a.example/a.png',
    subject: 'M',
    html: '<p>B</p>',
    replyTo: 'help@a.example',
    actions: [{ id: 'call', title: 'Call' }],
  }
  const data = { ride: 'r-1', seats: 2, stops: ['a'], gone: null, note: '' }
  const told = messageOf(push({ content: { inbox: { ...said, data } } }))
  t.strictSame(told, {
    ...said,
    priority: 'high',
    collapseKey: 'run',
    data: { ride: 'r-1', seats: '2', stops: '["a"]', gone: 'null', note: '' },
  })
  t.strictSame(
    messageOf(push({ content: { inbox: { title: '', actions: [] } } })),
    { priority: 'high', collapseKey: 'run' },
    'what is empty is not said',
  )
})

t.test("a step's own texts are whole: what the inbox alone says doesn't get into them", async (t) => {
  const content = { inbox: { title: 'In', url: 'https://a.example/' }, '1': { title: 'Own' } }
  t.strictSame(messageOf(push({ content })), { priority: 'high', title: 'Own', collapseKey: 'run' })
  const both = { ...content, '1': { title: 'Own', options: { sound: 'bell' } } }
  t.match(messageOf(push({ content: both })), { title: 'Own', url: undefined, sound: 'bell' })
  const shared = { ...content, '1': { options: { sound: 'bell' } } }
  t.match(messageOf(push({ content: shared })), { title: 'In', url: 'https://a.example/', sound: 'bell' })
})

t.test('each option of a step arrives', async (t) => {
  const same: Partial<Message> = {
    silent: true,
    dataOnly: true,
    ttlSeconds: 0,
    sound: 'bell',
    channelId: 'rides',
    threadId: 'r-1',
    interruption: 'time-sensitive',
    relevanceScore: 0.5,
    analyticsLabel: 'accepted',
    overrides: { apns: { aps: { badge: 9 } } },
  }
  for (const [name, value] of Object.entries(same))
    t.strictSame(saying({ [name]: value }), {
      priority: 'high',
      title: 'Hello',
      collapseKey: 'run',
      [name]: value,
    })
  t.equal(saying({ priority: 'high' }, { lane: 'bulk' }).priority, 'high')
  t.equal(saying({ priority: 'normal' }, { lane: 'high' }).priority, 'normal')
  t.equal(saying({ collapseKey: 'own' }, { collapseKey: 'ride' }).collapseKey, 'own')
  t.equal(
    saying({ unlessSeen: false, clearWhenSeen: false }).silent,
    undefined,
    'the worker minds these itself',
  )
})

t.test('the badge is what waits unread, a number of the step, or none', async (t) => {
  t.equal(saying({}, { unread: 3 }).badge, 3)
  t.equal(saying({}, { unread: 0 }).badge, 0)
  t.equal(saying({}).badge, undefined, 'not counted is not said')
  t.equal(saying({ badge: 'unread' }, { unread: 3 }).badge, 3)
  t.equal(saying({ badge: 7 }, { unread: 3 }).badge, 7)
  t.equal(saying({ badge: 0 }, { unread: 3 }).badge, 0)
  t.equal(saying({ badge: 'none' }, { unread: 3 }).badge, undefined)
  t.equal(saying({}, { unread: 3, channel: 'email' }).badge, undefined)
})

t.test('a mail answers to whom its step says', async (t) => {
  const content = {
    inbox: { title: 'T', replyTo: 'a@a.example' },
    '1': { options: { replyTo: 'b@a.example' } },
  }
  t.equal(messageOf(push({ channel: 'email', content })).replyTo, 'b@a.example')
})

const ACTIVITY = { id: 'ride-1', event: 'update', contentState: { minutes: 2 }, at: NOW } as const

t.test('a Live Activity is told without its name, and an empty banner is never shown for it', async (t) => {
  t.match(saying({ liveActivity: ACTIVITY }), {
    title: 'Hello',
    liveActivity: { event: 'update', contentState: { minutes: 2 }, at: NOW, id: undefined },
    dataOnly: undefined,
  })
  const wordless = messageOf(push({ content: { '1': { options: { liveActivity: ACTIVITY } } } }))
  t.match(wordless, { dataOnly: true, liveActivity: { event: 'update' } })
  t.equal(saying({ liveActivity: ACTIVITY }, { channel: 'email' }).liveActivity, undefined)
})

t.test('the link that ends the mails stands wherever there is room for it', async (t) => {
  const actions = [
    { id: 'end', title: 'End', url: UNSUBSCRIBE_PLACE },
    { id: 'go', title: 'Go', url: 'https://a.example/' },
    { id: 'say', title: 'Say' },
  ]
  const message = messageOf(push({ content: { inbox: { body: `End: ${UNSUBSCRIBE_PLACE}`, actions } } }))
  t.match(withUnsubscribeLink(message, 'https://b.example/u'), {
    body: 'End: https://b.example/u',
    actions: [
      { id: 'end', url: 'https://b.example/u' },
      { id: 'go', url: 'https://a.example/' },
      { id: 'say' },
    ],
  })
  t.same(
    withUnsubscribeLink(message, '').actions?.map(({ id }) => id),
    ['go', 'say'],
    'a button that leads nowhere is left out',
  )
})

t.test('a rich one fits every provider as it is', async (t) => {
  const options: SaidOptions = {
    priority: 'high',
    ttlSeconds: 300,
    badge: 2,
    sound: 'bell',
    channelId: 'rides',
    threadId: 'r-1',
    interruption: 'time-sensitive',
    analyticsLabel: 'accepted',
    overrides: { fcm: { android: { notification: { color: '#00aa00' } } }, webpush: { mutable: false } },
  }
  const inbox = {
    title: 'Mira is on the way',
    subtitle: 'Ride 7',
    body: 'white Skoda, 4 min',
    url: 'https://rides.example/7',
    imageUrl: 'https://rides.example/7.png',
    actions: [
      { id: 'call', title: 'Call', url: 'https://rides.example/7/call' },
      { id: 'cancel', title: 'Cancel' },
    ],
    data: { ride: 'r-1', stops: ['a', 'b'] },
  }
  const message = messageOf(push({ content: { inbox, '1': { options } }, expiresAt: new Date(NOW + 60_000) }))
  const addresses: Address[] = [
    { kind: 'fcm', token: 't' },
    { kind: 'apns', token: 't' },
    { kind: 'webpush', endpoint: 'https://push.example/1', p256dh: 'p', auth: 'a' },
    { kind: 'email', email: 'ada@example.com' },
    { kind: 'sms', phone: '+447700900123' },
    { kind: 'webhook', url: 'https://a.example/', secrets: [] },
  ]
  for (const address of addresses) {
    const outgoing = { notificationId: 'n', deliveryId: 'd', tenant: 'acme', attempt: 1, receiptToken: 'r' }
    t.strictSame(fit({ ...outgoing, address, message }, NOW), { message, clipped: [] }, address.kind)
  }
})
