import { createServer } from 'node:http'
import { createHealth, createHttpServer, createLogger, createMetrics } from '@carillon/service'
import { eventually, type TestScope, usePostgres } from '@carillon/testkit'
import t from 'tap'
import { start } from '../src/index.js'

const token = 'a-token-of-rides-123'
const headers = { authorization: `Bearer ${token}` }
const order = {
  customerId: 'ada',
  customer: 'Ada',
  from: 'Station',
  to: 'Harbour',
  city: 'Graz',
  minutes: 4,
  amountCents: 1250,
  currency: 'EUR',
}
const driver = { id: 'mira', name: 'Mira', car: 'white van' }

/** Carillon's edge as far as rides can see it: it records events, or answers 503 while `away`. */
async function useEdge(t: TestScope) {
  const edge = {
    url: '',
    away: false,
    published: [] as { id: string; type: string }[],
    refusedIds: [] as string[],
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const events = JSON.parse(Buffer.concat(chunks).toString()) as { id: string; type: string }[]
    if (edge.away) edge.refusedIds.push(...events.map((event) => event.id))
    else edge.published.push(...events)
    response.writeHead(edge.away ? 503 : 202, { connection: 'close' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  edge.url = `http://127.0.0.1:${address.port}`
  return edge
}

async function useRides(t: TestScope) {
  const database = await usePostgres(t)
  const edge = await useEdge(t)
  const deps = {
    logger: createLogger({ name: 'test', level: 'silent' }),
    metrics: createMetrics(),
    health: createHealth(),
    signal: new AbortController().signal,
  }
  const http = await createHttpServer(deps)
  const config = {
    databaseUrl: database.url,
    carillonUrl: edge.url,
    carillonKey: 'ck_test',
    token,
    host: '127.0.0.1',
    port: 0,
  }
  const service = await start(config, { ...deps, http })
  t.teardown(async () => {
    await http.close()
    await service[Symbol.asyncDispose]()
  })
  const post = (url: string, payload?: object) =>
    http.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) })
  return { edge, http, post }
}

t.test('a ride publishes each change once, in order, under a stable id', async (t) => {
  const { edge, post } = await useRides(t)
  const requested = await post('/rides', order)
  t.equal(requested.statusCode, 201)
  const { id } = requested.json<{ id: string }>()

  const early = await post(`/rides/${id}/pay`)
  t.match({ status: early.statusCode, ...early.json() }, { status: 409, code: 'RIDE_STATE' })

  const accepted = await post(`/rides/${id}/accept`, driver)
  t.equal(accepted.statusCode, 200)
  const repeated = await post(`/rides/${id}/accept`, driver)
  t.strictSame(repeated.json(), accepted.json(), 'asking again answers the same')
  for (const verb of ['arrive', 'complete', 'pay'])
    t.equal((await post(`/rides/${id}/${verb}`)).statusCode, 200)

  const states = ['requested', 'accepted', 'arrived', 'completed', 'paid']
  t.strictSame(
    edge.published.map((event) => [event.id, event.type]),
    states.map((state) => [`${id}.${state}`, `rides.ride.${state}.v1`]),
  )
})

t.test('mistakes of the caller are named', async (t) => {
  const { edge, http, post } = await useRides(t)
  const unknown = await post('/rides/00000000-0000-4000-8000-000000000000/arrive')
  t.match({ status: unknown.statusCode, ...unknown.json() }, { status: 404, code: 'RIDE_UNKNOWN' })
  const bare = await http.inject({ method: 'POST', url: '/rides', payload: order })
  t.match({ status: bare.statusCode, ...bare.json() }, { status: 401, code: 'UNAUTHORIZED' })
  const bad = await post('/rides', { ...order, minutes: 0 })
  t.match({ status: bad.statusCode, ...bad.json() }, { status: 400, code: 'VALIDATION', field: 'minutes' })
  t.strictSame(edge.published, [])
})

t.test('while Carillon is away the change is kept, and the relay publishes it later', async (t) => {
  const { edge, http, post } = await useRides(t)
  const { id } = (await post('/rides', order)).json<{ id: string }>()
  edge.away = true
  const away = await post(`/rides/${id}/accept`, driver)
  t.match({ status: away.statusCode, ...away.json() }, { status: 503, code: 'CARILLON_UNAVAILABLE' })
  t.ok(away.headers['retry-after'])
  const kept = await http.inject({ url: `/rides/${id}`, headers })
  t.match(kept.json(), { state: 'accepted', driverId: 'mira' })
  t.ok(edge.refusedIds.length > 0)
  t.ok(edge.refusedIds.every((refused) => refused === `${id}.accepted`))
  edge.away = false
  await eventually(() => edge.published.some((event) => event.id === `${id}.accepted`), { timeoutMs: 15_000 })
  t.equal(edge.published.length, 2)
})
