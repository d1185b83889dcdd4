import { createHealth, createHttpServer, createLogger, createMetrics } from '@carillon/service'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { LOCKS } from '../src/database.js'
import { start } from '../src/index.js'
import { DRIVER, ORDER, useAcceptedRide, useRides } from './support.js'

/** A turn ends after 3 s, and whoever asks may have to wait for two of them, on a machine that does much else. */
const LONG_MS = 30_000

interface Refused {
  id: string
  story: string
  event: object | null
  publication: object | null
  problem: string
}

t.test('a ride publishes each change once, in order, under a stable id', async (t) => {
  const { edge, call } = await useRides(t)
  const requested = await call('POST', '/rides', ORDER)
  t.equal(requested.status, 201)
  const { id } = requested.body

  const early = await call('POST', `/rides/${id}/pay`)
  t.match({ status: early.status, ...early.body }, { status: 409, code: 'RIDE_STATE' })

  const accepted = await call('POST', `/rides/${id}/accept`, DRIVER)
  t.equal(accepted.status, 200)
  const repeated = await call('POST', `/rides/${id}/accept`, DRIVER)
  t.strictSame(repeated.body, accepted.body, 'asking again answers the same')
  for (const verb of ['arrive', 'complete', 'pay'])
    t.equal((await call('POST', `/rides/${id}/${verb}`)).status, 200)

  const states = ['requested', 'accepted', 'arrived', 'completed', 'paid']
  t.strictSame(
    edge.published.map((event) => [event.id, event.type]),
    states.map((state) => [`${id}.${state}`, `rides.ride.${state}.v1`]),
  )
})

t.test('mistakes of the caller are named', async (t) => {
  const { edge, http, call, as, person } = await useRides(t)
  const unknown = await call('POST', '/rides/00000000-0000-4000-8000-000000000000/arrive')
  t.match({ status: unknown.status, ...unknown.body }, { status: 404, code: 'RIDE_UNKNOWN' })
  const bare = await http.inject({ method: 'POST', url: '/rides', payload: ORDER })
  t.match({ status: bare.statusCode, ...bare.json() }, { status: 401, code: 'UNAUTHORIZED' })
  const bad = await call('POST', '/rides', { ...ORDER, minutes: 0 })
  t.match({ status: bad.status, ...bad.body }, { status: 400, code: 'VALIDATION', field: 'minutes' })
  for (const unkept of ['a\u0000b', 'a\ud800'])
    t.match((await call('POST', '/rides', { ...ORDER, from: unkept })).body, {
      code: 'VALIDATION',
      field: 'from',
    })
  t.match((await call('POST', '/people/%00/session')).body, { code: 'VALIDATION' })
  t.strictSame(edge.published, [])

  await t.test('nobody signs in with a token that is not ours, changed or too old', async (t) => {
    const { token } = (await call('POST', '/people/ada/session')).body as { token: string }
    t.equal((await as(token)('GET', '/conversations')).status, 200)
    const [body = '', signature = ''] = token.split('.')
    const mira = Buffer.from(JSON.stringify(['mira', Date.now() + 1e6])).toString('base64url')
    for (const forged of [
      `${mira}.${signature}`,
      `${body}.`,
      body,
      `${token}.x`,
      `${body}.${signature.slice(1)}`,
    ])
      t.equal((await as(forged)('GET', '/conversations')).status, 401)
  })
  await t.test('persons do what is theirs, services what is theirs', async (t) => {
    const ada = await person('ada')
    t.match((await ada('POST', '/rides', ORDER)).body, { status: 403, code: 'FORBIDDEN' })
    t.match((await ada('POST', '/people/mira/session')).body, { status: 403, code: 'FORBIDDEN' })
    t.match((await ada('GET', '/outbox/refused')).body, { status: 403, code: 'FORBIDDEN' })
    t.match((await ada('PUT', '/drivers/mira/online', { city: 'Graz' })).body, { code: 'FORBIDDEN' })
    t.match((await call('GET', '/conversations')).body, { status: 403, code: 'FORBIDDEN' })
  })
})

t.test('while Carillon is away the change is kept, and the relay publishes it later', async (t) => {
  const { edge, call } = await useRides(t)
  const { id } = (await call('POST', '/rides', ORDER)).body
  edge.away = true
  const away = await call('POST', `/rides/${id}/accept`, DRIVER)
  t.match({ status: away.status, ...away.body }, { status: 503, code: 'CARILLON_UNAVAILABLE' })
  t.ok(away.headers['retry-after'])
  t.match((await call('GET', `/rides/${id}`)).body, { state: 'accepted', driverId: 'mira' })
  t.ok(edge.refusedIds.length > 0)
  t.ok(edge.refusedIds.every((refused) => refused === `${id}.accepted`))
  edge.away = false
  await eventually(() => edge.published.some((event) => event.id === `${id}.accepted`))
  t.equal(edge.published.length, 2)
})

t.test('an event that is refused for good is set aside, and nobody waits behind it', async (t) => {
  const { edge, call, person, metrics } = await useRides(t)
  const first = await useAcceptedRide(call)
  const second = await useAcceptedRide(call)
  const mira = await person('mira')
  edge.refused.add('rides.ride.arrived.v1').add('message')
  // what waits while Carillon is away goes out in batches: those refused and good ones together
  edge.away = true
  t.equal((await call('POST', `/rides/${first}/arrive`)).status, 503)
  t.equal((await call('POST', '/rides', ORDER)).status, 503)
  for (const ride of [first, second])
    await mira('POST', `/rides/${ride}/messages`, { text: 'Here', clientId: 'c1' })
  edge.away = false
  t.equal((await call('POST', `/rides/${first}/complete`)).status, 200)

  const ofFirst = edge.published
    .filter(({ data }) => data.rideId === first)
    .map(({ type }) => type.split('.').slice(1, 3).join('.'))
  t.strictSame(ofFirst, ['ride.requested', 'ride.accepted', 'message.sent', 'ride.completed'], 'in order')
  t.equal(
    edge.published.filter(({ type }) => type === 'rides.ride.requested.v1').length,
    3,
    'the other rides went on',
  )
  const { refused: all } = (await call('GET', '/outbox/refused')).body as { refused: Refused[] }
  t.equal(all.length, 3)
  const said = (story: string) => all.find((row) => row.story === story && row.publication !== null)
  t.match(said(second), {
    event: null,
    publication: { data: { text: 'Here' } },
    problem: /CHANNEL_DATA_INVALID/,
  })
  t.match(said(first), { event: null, publication: { data: { text: 'Here' } } })
  const arrived = all.find(({ event }) => event !== null)
  t.match(arrived, {
    story: first,
    publication: null,
    event: { id: `${first}.arrived` },
    problem: /EVENT_INVALID/,
  })
  t.match(await metrics.render(), /rides_outbox_refused_total 3\n/)
  for (const story of [first, second]) await call('DELETE', `/outbox/refused/${said(story)?.id}`)

  await t.test('and tried again once its reason is mended, or given up', async (t) => {
    const row = `/outbox/refused/${arrived?.id}`
    t.strictSame((await call('POST', '/outbox/refused/retry')).body, { count: 1 })
    const again = await eventually(async () => {
      const { refused } = (await call('GET', '/outbox/refused')).body
      return refused.length === 1 && refused[0].id
    })
    edge.refused.clear()
    t.match(
      (await call('POST', `${row}/retry`)).body,
      { code: 'ROW_UNKNOWN' },
      'it waited anew, and has another number',
    )
    t.equal((await call('POST', `/outbox/refused/${again}/retry`)).status, 202)
    await eventually(() => edge.published.some(({ id }) => id === `${first}.arrived`))
    t.strictSame((await call('GET', '/outbox/refused')).body, { refused: [] })
    edge.refused.add('rides.ride.paid.v1')
    await call('POST', `/rides/${first}/pay`)
    const [given] = (await call('GET', '/outbox/refused')).body.refused
    t.equal((await call('DELETE', `/outbox/refused/${given.id}`)).status, 204)
    t.equal((await call('DELETE', `/outbox/refused/${given.id}`)).status, 404)
  })
})

t.test('what the key may not say holds its own ride up and no other', async (t) => {
  const { edge, call, person } = await useRides(t)
  const first = await useAcceptedRide(call)
  const mira = await person('mira')
  edge.forbidden = true
  t.equal((await mira('POST', `/rides/${first}/messages`, { text: 'Here', clientId: 'c1' })).status, 201)
  await useAcceptedRide(call)
  t.equal(edge.published.length, 4)
  t.match((await call('POST', `/rides/${first}/arrive`)).body, { code: 'CARILLON_UNAVAILABLE' })
  edge.forbidden = false
  t.equal((await call('POST', `/rides/${first}/complete`)).status, 200)
  const types = edge.published.filter(({ data }) => data.rideId === first).map(({ type }) => type)
  t.strictSame(types.slice(2), ['rides.message.sent.v1', 'rides.ride.arrived.v1', 'rides.ride.completed.v1'])
  t.match(edge.said, [{ channel: `room:ride-${first}`, data: { type: 'message', text: 'Here' } }])
})

t.test('a process that hangs in its turn keeps nobody waiting for long', async (t) => {
  const { edge, call, pool } = await useRides(t)
  await pool.query('SELECT pg_advisory_lock($1)', [LOCKS.relay])
  const late = new Promise<void>((resolve) => setTimeout(resolve, LONG_MS).unref())
  const answer = await Promise.race([call('POST', '/rides', ORDER), late])
  t.match(answer, { status: 503, body: { code: 'CARILLON_UNAVAILABLE' } })
  t.equal(edge.published.length, 0)
  await pool.query('SELECT pg_advisory_unlock($1)', [LOCKS.relay])
  t.equal((await call('POST', '/rides', ORDER)).status, 201)
  t.equal(edge.published.length, 2, 'what was kept goes out with the next one')
})

t.test('processes relay in turns, and what was not crossed off comes again under its id', async (t) => {
  const { edge, call, pool, sessionOf, as, startOne, config } = await useRides(t)
  const other = await startOne()
  const ride = await useAcceptedRide(call)
  const [ada, mira] = [as(await sessionOf('ada')), other.as(await sessionOf('mira'))]
  await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      (n % 2 === 0 ? ada : mira)('POST', `/rides/${ride}/messages`, { text: `${n}`, clientId: `c-${n}` }),
    ),
  )
  const sent = () => edge.published.filter(({ type }) => type === 'rides.message.sent.v1')
  await eventually(() => sent().length >= 30 && edge.said.length >= 30)
  const numbers = Array.from({ length: 30 }, (_, n) => n + 1)
  t.strictSame(
    edge.said.map(({ data }) => data.number),
    numbers,
    'in the order of the conversation, each once',
  )
  t.equal(new Set(sent().map(({ id }) => id)).size, 30)
  t.equal(sent().length, 30)

  await pool.query('CREATE RULE kept AS ON DELETE TO rides.outbox DO INSTEAD NOTHING')
  await ada('POST', `/rides/${ride}/messages`, { text: 'twice', clientId: 'twice' })
  const twice = () => edge.said.filter(({ data }) => data.text === 'twice')
  await call('POST', `/rides/${ride}/arrive`)
  // each pass says it again, and none can cross it off before the rule is gone
  await eventually(() => twice().length > 1)
  await pool.query('DROP RULE kept ON rides.outbox')
  await call('POST', `/rides/${ride}/complete`)
  t.equal(new Set(twice().map(({ idempotencyKey }) => idempotencyKey)).size, 1)
  t.equal((await pool.query('SELECT FROM rides.outbox')).rows.length, 0)

  const deps = {
    logger: createLogger({ name: 'test', level: 'silent' }),
    metrics: createMetrics(),
    health: createHealth(),
    signal: new AbortController().signal,
  }
  const lost = start(
    { ...config, natsUrl: 'nats://127.0.0.1:1' },
    { ...deps, http: await createHttpServer({ ...deps, maxEventLoopDelayMs: 30_000 }) },
  )
  await t.rejects(lost, { code: 'CONFIG_INVALID' }, 'NATS without a tenant is said at the start')
})
