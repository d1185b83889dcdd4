import t, { type Test } from 'tap'
import { startSimulators } from '../src/index.js'
import { openApns, openFcm, openSmtp, openWebPush } from './raw-clients.js'

async function start(t: Test, options: Parameters<typeof startSimulators>[0] = { allow: 'development' }) {
  const simulators = await startSimulators(options)
  t.teardown(() => simulators[Symbol.asyncDispose]())
  return simulators
}

/** A clock that stands still in the middle of a minute, so that no quota begins anew by itself. */
function clock() {
  let at = Math.floor(Date.now() / 60_000) * 60_000 + 20_000
  return {
    now: () => at,
    pass: (ms: number) => {
      at += ms
    },
  }
}

t.test('quotas are counted by the minute, each in its own place', async (t) => {
  const { now, pass } = clock()
  const simulators = await start(t, {
    allow: 'development',
    now,
    limits: {
      fcm: { projectPerMinute: 5, devicePerMinute: 2 },
      apns: { tokenPerMinute: 2 },
      webpush: { originPerMinute: 2 },
    },
  })
  using toFcm = await openFcm(simulators)
  using toApns = openApns(simulators, Math.floor(now() / 1000))
  using toWebPush = openWebPush(simulators)
  const [one, two, three] = [1, 2, 3].map(() => simulators.fcm.registerDevice())
  const message = (token = '') => ({ token, notification: { title: 'x' } })
  const statuses: number[] = []
  for (const device of [one, one, one, two, two, three])
    statuses.push((await toFcm.send(message(device?.token))).status)
  t.same(statuses, [200, 200, 429, 200, 200, 429])
  const refused = await toFcm.send(message(three?.token))
  t.match(refused, {
    headers: { 'retry-after': '40' },
    body: { error: { status: 'RESOURCE_EXHAUSTED', details: [{ errorCode: 'QUOTA_EXCEEDED' }] } },
  })
  t.equal(three?.received, 0, 'what is refused is shown nowhere')

  const phone = simulators.apns.registerDevice()
  const other = simulators.apns.registerDevice()
  const push = async (token: string) => (await toApns.send(token, { aps: { alert: 'x' } })).status
  t.same(
    [await push(phone.token), await push(phone.token), await push(phone.token), await push(other.token)],
    [200, 200, 429, 200],
    'APNs counts by token',
  )
  const browsers = [simulators.webpush.registerDevice(), simulators.webpush.registerDevice()] as const
  const tell = (browser: (typeof browsers)[number]) =>
    toWebPush.send(browser, { notification: { title: 'x' } })
  t.same([(await tell(browsers[0])).status, (await tell(browsers[1])).status], [201, 201])
  t.match(
    await tell(browsers[0]),
    { status: 429, headers: { 'retry-after': '40' } },
    'a push service by origin',
  )

  pass(40_000)
  t.equal((await toFcm.send(message(three?.token))).status, 200, 'the next minute begins anew')
  t.equal(await push(phone.token), 200)
  t.equal((await tell(browsers[0])).status, 201)
  simulators.fcm.limits.projectPerMinute = 0
  t.equal((await toFcm.send(message(two?.token))).status, 429, 'and a limit can change at any time')
})

t.test('a mail server counts connections and mails', async (t) => {
  const { now, pass } = clock()
  const simulators = await start(t, {
    allow: 'development',
    now,
    limits: { smtp: { connectionsPerMinute: 2, mailsPerMinute: 2 } },
  })
  const { smtp } = simulators
  const mail = async (over: Awaited<ReturnType<typeof openSmtp>>) => {
    const begun = await over.say('MAIL FROM:<bells@carillon.example>')
    if (!begun.startsWith('250')) return begun
    await over.say('RCPT TO:<ada@example.com>')
    await over.say('DATA')
    return over.say('Subject: x\r\nX-Carillon-Notification: n1\r\n\r\nhello\r\n.')
  }
  using first = await openSmtp(simulators)
  using second = await openSmtp(simulators)
  using third = await openSmtp(simulators)
  t.match([first.greeting, second.greeting, third.greeting], [/^220 /, /^220 /, /^421 4\.7\.0 /])
  t.match([await mail(first), await mail(first), await mail(second)], [/^250 /, /^250 /, /^450 4\.2\.1 /])
  t.match(smtp.mailboxes.of('ada@example.com'), { received: 2, repeated: 1 })
  t.match(simulators.counters().smtp, {
    ...{ requests: 4, connections: 3, accepted: 2, repeated: 1 },
    byStatus: { 250: 2, 421: 1, 450: 1 },
  })
  pass(40_000)
  t.match(await mail(first), /^250 /, 'the next minute begins anew')
})

t.test('a dry run answers like the real thing and shows nothing', async (t) => {
  const simulators = await start(t)
  const { fcm } = simulators
  using wire = await openFcm(simulators)
  const { token } = fcm.registerDevice()
  const validate = (message: object) => wire.request({ validate_only: true, message })
  t.match(await validate({ token, notification: { title: 'x' } }), {
    status: 200,
    body: { name: `projects/${fcm.credentials.project_id}/messages/fake_message_id` },
  })
  t.match(await validate({ token: 'x'.repeat(30), notification: { title: 'x' } }), { status: 404 })
  t.match(await validate({ token, data: { n: 1 } }), { status: 400 })
  t.equal(fcm.device(token)?.received, 0)
  t.match(fcm.counters, { validated: 1, accepted: 0 })
})

t.test('topics and conditions reach whom they name', async (t) => {
  const simulators = await start(t)
  const { fcm } = simulators
  using wire = await openFcm(simulators)
  const [news, both, sport, none] = ['news', 'both', 'sport', 'none'].map((name) =>
    fcm.registerDevice({ name }),
  )
  if (!news || !both || !sport || !none) throw new Error('four devices')
  const heard = () => [news, both, sport, none].map(({ received }) => received)
  const gone = { token: 'no-such-registration-token' }
  t.match((await wire.topics('Add', 'news', [news, gone, both])).body, {
    results: [{}, { error: 'NOT_FOUND' }, {}],
  })
  await wire.topics('Add', 'sport', [both, sport])
  fcm.setOnline(sport.token, false)

  const toTopic = await wire.send({ topic: 'news', notification: { title: 'n' } })
  t.match(toTopic.body, { name: /^projects\/[^/]+\/messages\/\w+$/ })
  t.same(heard(), [1, 1, 0, 0])
  await wire.send({ condition: "'news' in topics && !('sport' in topics)", notification: { title: 'c' } })
  t.same(heard(), [2, 1, 0, 0])
  await wire.send({ condition: "'sport' in topics || ('news' in topics)", notification: { title: 'c' } })
  t.same(heard(), [3, 2, 0, 0])
  fcm.setOnline(sport.token, true)
  t.same(heard(), [3, 2, 1, 0], 'an offline phone has it later')

  await wire.topics('Remove', 'news', [news])
  await wire.send({ topic: 'news', notification: { title: 'n' } })
  t.same(heard(), [3, 3, 1, 0])
  for (const wrong of [
    { condition: "'news' in topics &&" },
    { condition: ['a', 'b', 'c', 'd', 'e', 'f'].map((topic) => `'${topic}' in topics`).join(' || ') },
    { topic: 'no spaces' },
    { topic: 'news', token: news.token },
    { topic: 'news', notification: { title: 'x'.repeat(2100) } },
  ]) {
    t.match(await wire.send({ notification: { title: 'x' }, ...wrong }), {
      status: 400,
      body: { error: { status: 'INVALID_ARGUMENT' } },
    })
  }
  t.equal((await wire.post('/iid/v1:batchAdd', {}, '{}')).status, 401, 'who may not send may not subscribe')
})

t.test('a Live Activity has a topic and a token of its own, and one card', async (t) => {
  const simulators = await start(t)
  const { apns } = simulators
  using wire = openApns(simulators)
  const activity = apns.registerDevice({ kind: 'liveactivity' })
  const app = apns.registerDevice()
  const topic = `${apns.credentials.bundleId}.push-type.liveactivity`
  const headers = { 'apns-push-type': 'liveactivity', 'apns-topic': topic }
  const update = (minutes: number, timestamp: number, more: object = {}) =>
    wire.send(
      activity.token,
      { aps: { timestamp, event: 'update', 'content-state': { minutes }, ...more } },
      headers,
    )
  const bodies = () => activity.screen.map(({ body }) => body)
  await update(5, 100)
  await update(3, 120)
  await update(4, 110)
  t.same(bodies(), ['{"minutes":3}'], 'an update replaces, an older one is ignored')
  t.equal(apns.counters.activityIgnored, 1)
  await update(0, 130, { event: 'end', 'dismissal-date': 130 })
  t.same(bodies(), [])
  const reason = async (answer: ReturnType<typeof wire.send>) => (await answer).body.reason
  t.equal(await reason(wire.send(app.token, { aps: {} }, headers)), 'DeviceTokenNotForTopic')
  t.equal(await reason(wire.send(activity.token, { aps: { alert: 'x' } })), 'DeviceTokenNotForTopic')
  t.equal(
    await reason(wire.send(activity.token, { aps: {} }, { 'apns-push-type': 'liveactivity' })),
    'TopicDisallowed',
  )
})

t.test('a session is cut after as many bad tokens as were allowed', async (t) => {
  const simulators = await start(t, {
    allow: 'development',
    limits: { apns: { badTokensPerSession: 3 } },
  })
  using wire = openApns(simulators)
  const closed = new Promise<void>((resolve) => wire.session.once('close', () => resolve()))
  const bad = () => wire.send('ab'.repeat(32), { aps: { alert: 'x' } })
  for (let n = 0; n < 3; n++) t.match(await bad(), { status: 400, body: { reason: 'BadDeviceToken' } })
  await closed
  t.equal(simulators.apns.counters.disconnected, 1)
  await t.rejects(bad())
  using again = openApns(simulators)
  const { token } = simulators.apns.registerDevice()
  t.equal((await again.send(token, { aps: { alert: 'x' } })).status, 200, 'a new session begins anew')
})

t.test('every answer takes the latency, also the many at once', async (t) => {
  const simulators = await start(t, { allow: 'development', latencyMs: 50 })
  const { fcm } = simulators
  using wire = await openFcm(simulators)
  const { token } = fcm.registerDevice()
  const began = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => wire.send({ token, notification: { title: 'x' } })),
  )
  const took = performance.now() - began
  t.ok(answers.every(({ status }) => status === 200))
  t.ok(took >= 49, `${took} ms`)
  t.ok(took < 200 * 50, 'they wait side by side')
  t.match(simulators.counters().fcm, { requests: 201, accepted: 200, sessions: 1, handshakes: 1 })
})
