import t, { type Test } from 'tap'
import { startSimulators } from '../src/index.js'
import { openApns, openFcm, openWebPush } from './raw-clients.js'

const HOUR_MS = 3_600_000

/** Simulators whose clock the test moves. */
async function start(t: Test) {
  let moved = 0
  const simulators = await startSimulators({ allow: 'development', now: () => Date.now() + moved })
  t.teardown(() => simulators[Symbol.asyncDispose]())
  const { inbox } = simulators
  return {
    simulators,
    pass: (ms: number) => {
      moved += ms
    },
    titles: (to: string) => inbox.list().flatMap((one) => (one.to === to ? [one.title] : [])),
  }
}

t.test('FCM keeps four collapse keys for an offline phone, and brings what is alive in order', async (t) => {
  const { simulators, pass, titles } = await start(t)
  const { fcm } = simulators
  using wire = await openFcm(simulators)
  const { token } = fcm.registerDevice()
  const send = (title: string, android: object = {}) => wire.send({ token, notification: { title }, android })
  fcm.setOnline(token, false)
  for (const key of ['a', 'b', 'c', 'd', 'b', 'e']) await send(`key ${key}`, { collapse_key: key })
  await send('plain')
  await send('now or never', { ttl: '0s' })
  await send('short', { ttl: '60s' })
  await send('long', { ttl: '7200.5s' })
  t.same(titles(token), [], 'nothing comes while it is offline')
  t.equal(fcm.device(token)?.stored.length, 7)
  pass(61_000)
  fcm.setOnline(token, true)
  t.same(titles(token), ['key c', 'key d', 'key b', 'key e', 'plain', 'long'])
  t.match(fcm.counters, { expired: 2, collapsed: 2, received: 6 })
  await send('at once', { ttl: '0s' })
  t.equal(titles(token).at(-1), 'at once', 'and goes on as usual')
})

t.test('FCM drops everything it stored once there are more than a hundred, and tells the app', async (t) => {
  const { simulators } = await start(t)
  const { fcm, inbox } = simulators
  using wire = await openFcm(simulators)
  const { token } = fcm.registerDevice()
  const fill = (count: number) =>
    Promise.all(Array.from({ length: count }, () => wire.send({ token, notification: { title: 'n' } })))
  fcm.setOnline(token, false)
  await fill(100)
  fcm.setOnline(token, true)
  t.equal(inbox.list().length, 100, 'a hundred are kept')
  t.equal(fcm.device(token)?.deletedMessages, 0)

  inbox.clear()
  fcm.setOnline(token, false)
  await fill(101)
  await wire.send({ token, notification: { title: 'after' } })
  fcm.setOnline(token, true)
  t.match(inbox.list(), [{ silent: true, raw: { message_type: 'deleted_messages' } }, { title: 'after' }])
  t.equal(fcm.device(token)?.deletedMessages, 1)
  t.match(fcm.counters, { dropped: 101, deletedMessages: 1 })
})

t.test('APNs keeps one notification for an app on an offline phone, until it expires', async (t) => {
  const { simulators, pass, titles } = await start(t)
  const { apns } = simulators
  using wire = openApns(simulators)
  const { token } = apns.registerDevice()
  const epoch = (ms: number) => String(Math.floor((Date.now() + ms) / 1000))
  const send = (title: string, expiration?: string) =>
    wire.send(
      token,
      { aps: { alert: { title } } },
      expiration === undefined ? {} : { 'apns-expiration': expiration },
    )
  apns.setOnline(token, false)
  await send('first')
  await send('last')
  await send('one try', '0')
  await send('past', epoch(-HOUR_MS))
  apns.setOnline(token, true)
  t.same(titles(token), ['last'])
  apns.setOnline(token, false)
  await send('soon over', epoch(60_000))
  pass(61_000)
  apns.setOnline(token, true)
  t.same(titles(token), ['last'], 'what expired meanwhile is not brought')
  t.match(apns.counters, { collapsed: 1, expired: 3, accepted: 5 })
  await send('one try', '0')
  await send('past', epoch(-HOUR_MS))
  t.same(titles(token), ['last', 'one try'], 'online, one try is enough; what is past is dropped')
})

t.test('a push service keeps one message per topic and all of those without', async (t) => {
  const { simulators, pass, titles } = await start(t)
  const { webpush } = simulators
  using wire = openWebPush(simulators)
  const device = webpush.registerDevice()
  const send = (title: string, headers: Record<string, string> = {}) =>
    wire.send(device, { notification: { title } }, headers)
  webpush.setOnline(device.id, false)
  await send('eta 1', { topic: 'eta' })
  await send('plain')
  await send('eta 2', { topic: 'eta' })
  await send('now', { ttl: '0' })
  await send('short', { ttl: '60' })
  pass(61_000)
  webpush.setOnline(device.id, true)
  t.same(titles(device.id), ['plain', 'eta 2'])
  t.match(webpush.counters, { expired: 2, collapsed: 1, accepted: 5, undecryptable: 0 })
})

t.test('a phone drops background pushes beyond three an hour', async (t) => {
  const { simulators, pass } = await start(t)
  const { apns } = simulators
  using wire = openApns(simulators)
  const device = apns.registerDevice()
  const wake = (over = wire) =>
    over.send(
      device.token,
      { aps: { 'content-available': 1 } },
      { 'apns-push-type': 'background', 'apns-priority': '5' },
    )
  for (let n = 0; n < 5; n++) t.equal((await wake()).status, 200, 'Apple takes it all the same')
  t.equal(device.received, 3)
  t.equal(device.backgroundDropped, 2)
  await wire.send(device.token, { aps: { alert: 'shown' } })
  t.equal(device.received, 4, 'alerts have no budget')
  pass(HOUR_MS)
  using later = openApns(simulators, Math.floor((Date.now() + HOUR_MS) / 1000))
  t.equal((await wake(later)).status, 200)
  t.equal(device.received, 5)
  t.equal(apns.counters.backgroundDropped, 2)
})

t.test('the screen tells rung twice from shown twice', async (t) => {
  const { simulators } = await start(t)
  const { fcm, apns, webpush } = simulators
  using toFcm = await openFcm(simulators)
  using toApns = openApns(simulators)
  using toWebPush = openWebPush(simulators)
  const android = fcm.registerDevice()
  const iphone = apns.registerDevice()
  const browser = webpush.registerDevice()
  const devices = [android, iphone, browser]
  /** Rings all three; `tag` is each provider's own way to replace on the screen. */
  const ring = async (nid: string, title: string, tag?: string) => {
    const shown = tag === undefined ? {} : { notification: { tag } }
    await toFcm.send({ token: android.token, notification: { title }, data: { nid }, android: shown })
    const collapse: Record<string, string> = tag === undefined ? {} : { 'apns-collapse-id': tag }
    await toApns.send(iphone.token, { aps: { alert: { title } }, nid }, collapse)
    const tagged = tag === undefined ? {} : { tag }
    await toWebPush.send(browser, { notification: { title, data: { nid }, ...tagged } })
  }
  const screens = () => devices.map(({ screen }) => screen.map(({ title }) => title))
  const each = <T>(value: T) => devices.map(() => value)

  await ring('n1', 'first', 'eta')
  await ring('n1', 'first again', 'eta')
  t.same(screens(), each(['first again']), 'replaced: rung twice, shown once')
  t.same(
    devices.map(({ received, repeated, shownTwice }) => [received, repeated, shownTwice]),
    each([2, 1, 0]),
  )
  await ring('n2', 'second')
  await ring('n2', 'second again')
  t.same(screens(), each(['first again', 'second', 'second again']))
  t.same(
    devices.map(({ received, repeated, shownTwice }) => [received, repeated, shownTwice]),
    each([4, 2, 1]),
    'not replaced: shown twice',
  )
  await ring('n3', 'newer eta', 'eta')
  t.same(screens(), each(['second', 'second again', 'newer eta']), 'a later message replaces another one')

  await toFcm.send({ token: android.token, data: { clear: 'n2', nid: 'n2' } })
  const silent = { 'apns-push-type': 'background', 'apns-priority': '5' }
  await toApns.send(iphone.token, { aps: { 'content-available': 1 }, clear: 'n2', nid: 'n2' }, silent)
  await toWebPush.send(browser, { notification: { title: '', data: { clear: 'n2', nid: 'n2' } } })
  t.same(screens(), each(['newer eta']), 'a clear push takes its notification off and shows nothing')
  t.same(
    devices.map(({ repeated }) => repeated),
    each(2),
    'and rings nothing',
  )
  const { fcm: counted } = simulators.counters()
  t.match(counted, { accepted: 6, received: 6, repeated: 2, shownTwice: 1, byStatus: { 200: 7 } })
})

t.test('an app draws what comes as data alone, and a Live Activity has one card', async (t) => {
  const { simulators } = await start(t)
  using wire = await openFcm(simulators)
  const phone = simulators.fcm.registerDevice()
  const send = (message: object) => wire.send({ token: phone.token, ...message })
  const cards = () => phone.screen.map(({ title, body }) => [title, body])
  await send({ data: { nid: 'n1', title: 'Drawn', body: 'by the app' } })
  await send({ data: { nid: 'n1', title: 'Drawn', body: 'again' } })
  await send({ data: { nid: 'n2', title: 'ETA' }, android: { collapse_key: 'eta' } })
  await send({ data: { nid: 'n3', title: 'ETA', body: 'sooner' }, android: { collapse_key: 'eta' } })
  await send({ data: { nid: 'n4', badge: '3' } })
  t.same(cards(), [
    ['Drawn', 'again'],
    ['ETA', 'sooner'],
  ])
  t.match(phone, { received: 5, repeated: 1, shownTwice: 0 })
  await send({ data: { clear: 'n1', nid: 'n1' } })
  const minutes = (left: number) => ({
    apns: { live_activity_token: 'a1', payload: { aps: { 'content-state': { left } } } },
  })
  await send(minutes(5))
  await send(minutes(4))
  t.same(cards(), [
    ['ETA', 'sooner'],
    ['Live Activity', '{"left":4}'],
  ])
})
