import { openConnection, readSubject } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { useClient, useMesh } from './client-world.js'
import { drive, framesOf, joined, moveTo, ridesOf, runsOf, usePage, write } from './rides-world.js'

t.test('a ride with a conversation and a driver who moves', async (t) => {
  const mesh = await useMesh(t)
  const { service, person, accepted } = ridesOf(mesh)
  const [ada, mira] = [await person('ada'), await person('mira')]
  const ride = await accepted()
  const [room, latest] = [`room:ride-${ride}`, `latest:ride-${ride}`] as const
  const page = usePage(t, mesh, { user: 'ada', person: ada, ride })
  const chat = await joined(page.channel(room))
  const heard = (type: string) => framesOf(chat.getSnapshot().messages, type)

  await t.test('a message is on the other side at once, whole and in order', async (t) => {
    const texts = Array.from({ length: 10 }, (_, n) => `message ${n}`)
    const began = performance.now()
    for (const text of texts) await write(mira, ride, text)
    await eventually(() => heard('message').length === texts.length)
    t.comment(`ten messages written and heard in ${(performance.now() - began).toFixed(0)} ms`)
    t.strictSame(
      heard('message').map(({ text }) => text),
      texts,
    )
    t.strictSame(
      chat.getSnapshot().messages.map(({ from }) => from?.user),
      texts.map(() => 'mira'),
    )
  })

  await t.test('unread is exact, and reading shows at the other end', async (t) => {
    t.match((await ada('GET', '/conversations')).body, { unread: 10 })
    const last = String(heard('message').at(-1)?.id)
    await ada('PUT', `/rides/${ride}/read`, { upTo: last })
    t.match((await ada('GET', '/conversations')).body, { unread: 0 })
    await eventually(() => heard('read').length === 1)
    t.match(heard('read'), [{ by: 'ada', upTo: last, number: 10 }])
  })

  await t.test('who comes back has missed nothing', async (t) => {
    page.disconnect()
    await write(mira, ride, 'while you were away')
    page.connect()
    await eventually(() => heard('message').length === 11)
    t.equal(chat.getSnapshot().recovered, true)
  })

  await t.test('nobody else listens, and nobody speaks there for another', async (t) => {
    await mesh.carillon.putUser('eve', { name: 'Eve' })
    const getToken = async () => (await mesh.carillon.userToken('eve')).token
    const eve = useClient(t, mesh, { user: 'eve', getToken })
    eve.connect()
    for (const name of [room, latest] as const) {
      const refused = eve.channel(name)
      await eventually(() => refused.getSnapshot().state === 'refused')
      t.strictSame(refused.getSnapshot().messages, [])
    }
    t.equal((await (await person('eve'))('GET', `/rides/${ride}/token`)).status, 404)
    await t.rejects(chat.publish({ type: 'message', from: 'mira', text: 'forged' }))
    const place = await joined(page.channel(latest))
    await t.rejects(place.publish({ type: 'location', driver: 'mira', lat: 0, lon: 0 }))
    await t.rejects(place.publish({ type: 'typing', by: 'mira' }))
    t.equal(heard('message').length, 11)

    const driver = usePage(t, mesh, { user: 'mira', person: mira, ride })
    const typing = await joined(driver.channel(latest))
    await place.publish({ type: 'typing', by: 'ada' })
    await eventually(() => framesOf(typing.getSnapshot().messages, 'typing').length === 1)
    t.equal(typing.getSnapshot().messages[0]?.from?.user, 'ada', 'but each may say that they type')
    await driver.dispose()
  })

  await t.test(
    'five positions a second arrive in order, the newest last, and are kept nowhere',
    async (t) => {
      await mira('PUT', '/drivers/mira/online', { city: 'vienna' })
      const place = await joined(page.channel(latest))
      const seen: { lat: number; ms: number }[] = []
      const stop = place.onMessage(({ data }) => {
        const { type, lat, at } = data as { type: string; lat: number; at: string }
        if (type === 'location') seen.push({ lat, ms: Date.now() - Date.parse(at) })
      })
      // one that is not overtaken is shown
      for (const step of [1, 2, 3]) {
        const lat = await moveTo(mira, step)
        await eventually(() => seen.at(-1)?.lat === lat)
      }
      t.equal(seen.length, 3)
      const lats = await drive(mira, 4)
      await eventually(() => seen.at(-1)?.lat === lats.at(-1))
      stop()
      const shown = seen.slice(3).map(({ lat }) => lat)
      t.strictSame(
        shown,
        lats.filter((lat) => shown.includes(lat)),
        'while the network is busy a newer one takes the place of an older one',
      )
      const delays = seen.map(({ ms }) => ms).sort((a, b) => a - b)
      t.comment(
        `${shown.length} of ${lats.length} shown; from the driver to the page: p50 ${delays[delays.length >> 1]} ms, worst ${delays.at(-1)} ms`,
      )

      await using connection = await openConnection({ servers: mesh.engines.natsUrl, name: 'test' })
      for (const [stream, subject] of [
        ['LIVE', 'rt.>'],
        ['EVENTS', 'evt.>'],
      ] as const) {
        const stored = await readSubject(connection, { stream, subject, fromSequence: 1, limit: 1_000 })
        t.ok(stored.length > 0)
        t.notOk(
          stored.some(({ body }) => Buffer.from(body).includes('"lat"')),
          `not in ${stream}`,
        )
      }
    },
  )

  await t.test('nothing moves, and nobody writes, once the ride is over', async (t) => {
    const place = await joined(page.channel(latest))
    await service('POST', `/rides/${ride}/arrive`)
    let after = 0
    t.equal((await service('POST', `/rides/${ride}/complete`)).status, 200)
    const stop = place.onMessage(() => after++)
    await drive(mira, 1)
    t.equal((await mira('POST', `/rides/${ride}/messages`, { text: 'Thanks', clientId: 'x' })).status, 409)
    await t.rejects(place.publish({ type: 'typing', by: 'ada' }))
    // what the room is told afterwards shows that all before it has arrived
    await ada('PUT', `/rides/${ride}/read`, { upTo: String(heard('message').at(-1)?.id) })
    await eventually(() => heard('read').length === 2)
    t.equal(after, 0)
    stop()
    const later = usePage(t, mesh, { user: 'ada', person: ada, ride })
    const read = await joined(later.channel(room))
    t.equal(framesOf(await read.history(), 'message').length, 11, 'what was written can be read')
    const gone = later.channel(latest)
    await eventually(() => gone.getSnapshot().state === 'refused')
    await later.dispose()
  })

  await t.test(
    'the phone rings for who is away, several messages as one, and not for who looks',
    async (t) => {
      const next = await accepted()
      const rung: string[] = []
      const stopHearing = mesh.simulators.inbox.onMessage(({ provider, title, body }) => {
        if (provider === 'fcm' && title === 'Mira') rung.push(body)
      })
      t.teardown(stopHearing)
      const looking = await write(mira, next, 'You see this')
      await eventually(async () => (await runsOf(mesh, looking))[0]?.reason === 'ONLINE')

      page.disconnect()
      for (const text of ['one', 'two', 'three']) await write(mira, next, text)
      await eventually(() => rung.length > 0, { timeoutMs: 60_000 })
      t.strictSame(rung, ['3 new messages from Mira'])
      await write(mira, next, 'At the corner')
      await eventually(() => rung.length === 2)
      t.equal(rung[1], 'At the corner', 'a single one rings with its words')

      const unrung = await write(mira, next, 'And read before it rings')
      await ada('PUT', `/rides/${next}/read`, { upTo: unrung })
      const ended = await eventually(
        async () => {
          const runs = await runsOf(mesh, unrung)
          return runs.some(({ state }) => state === 'cancelled') && runs
        },
        { timeoutMs: 60_000 },
      )
      t.notOk(ended.some(({ state }) => state === 'completed'))
      t.equal(rung.length, 2)
    },
  )
})

t.test('without NATS tokens open the same channels to the same people', async (t) => {
  const mesh = await useMesh(t, { RIDES_NATS_URL: '' })
  const { person, accepted } = ridesOf(mesh)
  const [ada, mira] = [await person('ada'), await person('mira')]
  const ride = await accepted()
  const page = usePage(t, mesh, { user: 'ada', person: ada, ride })
  const [chat, place] = [
    await joined(page.channel(`room:ride-${ride}`)),
    await joined(page.channel(`latest:ride-${ride}`)),
  ]
  await write(mira, ride, 'Hello')
  await mira('PUT', '/drivers/mira/online', { city: 'vienna' })
  await drive(mira, 1)
  await eventually(() => framesOf(chat.getSnapshot().messages, 'message').length === 1)
  await eventually(() => framesOf(place.getSnapshot().messages, 'location').length === 1)
  for (const channel of [chat, place]) await t.rejects(channel.publish({ type: 'typing', by: 'ada' }))

  // who is connected already, with a token that knows of no ride, shows one for the channel
  const next = await accepted()
  const tokens = (await ada('GET', `/rides/${next}/token`)).body.channels as {
    channel: string
    token: string
  }[]
  const token = async () => tokens.find(({ channel }) => channel === `room:ride-${next}`)?.token ?? ''
  await joined(page.channel(`room:ride-${next}`, { token }))
  const stolen = useClient(t, mesh, { user: 'mira' })
  stolen.connect()
  const refused = stolen.channel(`room:ride-${next}`, { token })
  await eventually(() => refused.getSnapshot().state === 'refused')
  t.equal(refused.getSnapshot().messages.length, 0)
})
