import { eventually } from '@carillon/testkit'
import t from 'tap'
import { DRIVER, ORDER, useAcceptedRide, useRides } from './support.js'

interface Written {
  id: string
  number: number
  text: string
}

t.test('rider and driver write to each other', async (t) => {
  const { edge, call, person, clock, pool } = await useRides(t)
  const [ada, mira, eve] = [await person('ada'), await person('mira'), await person('eve')]
  const ride = await useAcceptedRide(call)
  const write = async (who: typeof ada, text: string, clientId: string, to = ride) =>
    who('POST', `/rides/${to}/messages`, { text, clientId })
  const unreadOf = async (who: typeof ada) => (await who('GET', '/conversations')).body

  await t.test('a message is told to the room and as an event, in this order, once', async (t) => {
    const written = await write(mira, 'I am at the fountain', 'a-1')
    t.equal(written.status, 201)
    t.match(written.body, { number: 1, from: 'mira', clientId: 'a-1', text: 'I am at the fountain' })
    const again = await write(mira, 'I am at the fountain', 'a-1')
    t.equal(again.status, 200)
    t.strictSame(again.body, written.body, 'asking again answers the same')
    t.match((await write(mira, 'Something else', 'a-1')).body, { code: 'CLIENT_ID_USED', field: 'clientId' })
    t.equal((await write(ada, 'Coming', 'a-1')).body.number, 2, 'each has client ids of their own')

    await eventually(() => edge.published.filter(({ type }) => type === 'rides.message.sent.v1').length === 2)
    const { id, at } = written.body
    t.match(edge.said[0], {
      channel: `room:ride-${ride}`,
      from: 'mira',
      data: {
        type: 'message',
        id,
        number: 1,
        from: 'mira',
        clientId: 'a-1',
        text: 'I am at the fountain',
        at,
      },
    })
    const [event] = edge.published.filter((candidate) => candidate.id === id)
    t.match(event?.data, { rideId: ride, from: 'mira', fromName: 'Mira', to: 'ada', toRole: 'customer' })
    t.strictSame(
      edge.said.map(({ data }) => data.number),
      [1, 2],
    )
  })

  await t.test('who writes at once gets numbers without a gap', async (t) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => write(n % 2 === 0 ? ada : mira, `message ${n}`, `b-${n}`)),
    )
    const numbers = answers.map(({ body }) => (body as Written).number).sort((a, b) => a - b)
    t.strictSame(
      numbers,
      Array.from({ length: 20 }, (_, n) => n + 3),
    )
    const same = await Promise.all(Array.from({ length: 5 }, () => write(ada, 'once', 'b-once')))
    t.equal(new Set(same.map(({ body }) => (body as Written).id)).size, 1)
    t.strictSame(same.map(({ status }) => status).sort(), [200, 200, 200, 200, 201])
    await eventually(() => edge.said.length === 23)
    t.strictSame(
      edge.said.map(({ data }) => data.number),
      Array.from({ length: 23 }, (_, n) => n + 1),
      'the room hears them in order',
    )
  })

  await t.test('older messages come by pages', async (t) => {
    const page = async (query: string) => (await ada('GET', `/rides/${ride}/messages${query}`)).body
    const first = await page('?limit=10')
    t.strictSame(
      (first.messages as Written[]).map(({ number }) => number),
      [23, 22, 21, 20, 19, 18, 17, 16, 15, 14],
    )
    t.equal(first.next, 14)
    const last = await page('?limit=100&before=14')
    t.equal(last.messages.length, 13)
    t.equal(last.next, null)
    t.match(await page('?limit=0'), { code: 'VALIDATION' })
  })

  await t.test('unread is counted exactly, for each conversation and in all', async (t) => {
    const other = await useAcceptedRide(call)
    await write(mira, 'And here', 'c-1', other)
    const before = await unreadOf(ada)
    t.equal(before.unread, 1 + 11)
    t.match(before.conversations, [
      {
        rideId: other,
        unread: 1,
        withId: 'mira',
        withName: 'Mira',
        lastMessage: { text: 'And here' },
        state: 'accepted',
      },
      { rideId: ride, unread: 11, lastMessage: { text: 'once', number: 23 } },
    ])
    t.equal((await unreadOf(mira)).unread, 12, 'what one wrote oneself does not count')

    const { messages } = (await ada('GET', `/rides/${ride}/messages?limit=100`)).body as {
      messages: Written[]
    }
    const byNumber = (number: number) => messages.find((message) => message.number === number)?.id
    const read = async (number: number) =>
      (await ada('PUT', `/rides/${ride}/read`, { upTo: byNumber(number) })).body
    t.strictSame(await read(1), { changed: true })
    t.equal((await unreadOf(ada)).unread, 11)
    t.strictSame(await read(23), { changed: true })
    t.strictSame(await read(5), { changed: false }, 'a marker goes one way')
    t.equal((await unreadOf(ada)).unread, 1)
    await eventually(() => edge.published.filter(({ type }) => type === 'rides.message.read.v1').length === 2)
    const markers = edge.said
      .filter(({ data }) => data.type === 'read')
      .map(({ data }) => [data.by, data.upTo, data.number])
    t.strictSame(markers, [
      ['ada', byNumber(1), 1],
      ['ada', byNumber(23), 23],
    ])
    const { read: shown } = (await mira('GET', `/rides/${ride}/messages?limit=1`)).body
    t.match(shown, [{ by: 'ada', number: 23 }])
    const foreign = await ada('PUT', `/rides/${other}/read`, { upTo: byNumber(1) })
    t.match(foreign.body, { status: 404, code: 'MESSAGE_UNKNOWN' })
  })

  await t.test('markers of people of any name are told to the room', async (t) => {
    const [zoe, other] = ['Zoë 7', (await call('POST', '/rides', { ...ORDER, customerId: 'Zoë 7' })).body.id]
    await call('POST', `/rides/${other}/accept`, DRIVER)
    const { id: upTo } = (await write(mira, 'Hello', 'z-1', other)).body as Written
    t.same((await (await person(zoe))('PUT', `/rides/${other}/read`, { upTo })).body, { changed: true })
    await eventually(() => edge.said.some(({ data }) => data.type === 'read' && data.by === zoe))
  })

  await t.test('a conversation is nobody else’s, and nothing before a driver is there', async (t) => {
    for (const answer of [
      await write(eve, 'Hello', 'e-1'),
      await eve('GET', `/rides/${ride}/messages`),
      await eve('PUT', `/rides/${ride}/read`, { upTo: ride }),
      await eve('GET', `/rides/${ride}/token`),
    ])
      t.match(answer.body, { status: 404, code: 'RIDE_UNKNOWN' })
    t.strictSame(await unreadOf(eve), { unread: 0, conversations: [] })
    const { id } = (await call('POST', '/rides', ORDER)).body as { id: string }
    t.match((await write(ada, 'Anybody?', 'n-1', id)).body, { status: 409, code: 'CONVERSATION_NOT_OPEN' })
    for (const payload of [
      { text: ' \n', clientId: 'x' },
      { text: 'a\u0000b', clientId: 'x' },
      { text: 'half \ud83d', clientId: 'x' },
      { text: 'x'.repeat(2_001), clientId: 'x' },
      { text: 'x', clientId: 'a b' },
      { text: 'x' },
    ])
      t.match((await ada('POST', `/rides/${ride}/messages`, payload)).body, {
        status: 400,
        code: 'VALIDATION',
      })
  })

  await t.test('a message and what tells of it are written together or not at all', async (t) => {
    const said = edge.said.length
    await pool.query('ALTER TABLE rides.outbox ADD CONSTRAINT none CHECK (publication IS NULL) NOT VALID')
    t.equal((await write(ada, 'lost?', 'k-1')).status, 500)
    await pool.query('ALTER TABLE rides.outbox DROP CONSTRAINT none')
    const { rows } = await pool.query("SELECT FROM rides.messages WHERE client_id = 'k-1'")
    t.equal(rows.length, 0)
    t.equal((await write(ada, 'kept', 'k-1')).body.number, 24, 'no number is left out')
    await eventually(() => edge.said.length > said)
    t.equal(edge.said.at(-1)?.data.text, 'kept')
  })

  await t.test(
    'a token opens the channels of the ride to its two and lets them say nothing there',
    async (t) => {
      const { token, channels } = (await ada('GET', `/rides/${ride}/token`)).body
      t.ok(token)
      t.strictSame(
        (channels as { channel: string }[]).map(({ channel }) => channel),
        [`room:ride-${ride}`, `latest:ride-${ride}`],
      )
      const granted = JSON.stringify(edge.tokens)
      t.match(granted, `room:ride-${ride}`)
      t.notMatch(granted, /publish/)
      await eventually(() => edge.rules.length > 0)
      t.match(edge.rules, [{ namespace: 'ride', authorise: false }], 'Carillon knows what may be said there')
    },
  )

  await t.test('a program that runs wild is slowed down, nobody else is', async (t) => {
    clock.ahead += 10_000
    // however long it takes to write forty messages
    clock.stoppedAt = Date.now()
    const answers = await Promise.all(Array.from({ length: 40 }, () => write(ada, 'kept', 'k-1')))
    const refused = answers.filter(({ status }) => status === 429)
    t.equal(refused.length, 10, 'thirty at once')
    t.match(refused[0], { headers: { 'retry-after': '1' }, body: { code: 'TOO_FAST' } })
    t.equal((await write(mira, 'I am fine', 'p-1')).status, 201)
    clock.stoppedAt = undefined
    clock.ahead += 10_000
    t.equal((await write(ada, 'kept', 'k-1')).status, 200)
  })

  await t.test('after the ride they read for a day and write no more', async (t) => {
    for (const verb of ['arrive', 'complete']) await call('POST', `/rides/${ride}/${verb}`)
    t.match((await write(ada, 'Thank you', 'd-1')).body, { status: 409, code: 'CONVERSATION_CLOSED' })
    t.equal((await write(ada, 'once', 'b-once')).status, 200, 'what was written stays known')
    t.equal((await mira('GET', `/rides/${ride}/messages`)).status, 200)
    const { channels } = (await ada('GET', `/rides/${ride}/token`)).body
    t.strictSame(
      (channels as { channel: string }[]).map(({ channel }) => channel),
      [`room:ride-${ride}`],
    )
    clock.ahead = 24 * 3_600_000
    t.match((await mira('GET', `/rides/${ride}/messages`)).body, { status: 401 }, 'and has to sign in again')
    const later = await person('mira')
    t.match((await later('GET', `/rides/${ride}/messages`)).body, { status: 410, code: 'CONVERSATION_OVER' })
    t.match((await later('GET', `/rides/${ride}/token`)).body, { status: 410 })
    t.notOk((await unreadOf(later)).conversations.some(({ rideId }: { rideId: string }) => rideId === ride))
  })
})
