import { createServer, type IncomingHttpHeaders } from 'node:http'
import { failOnLeaks, type TestScope } from '@carillon/testkit'
import t from 'tap'
import { CarillonClientError, connectHttp } from '../src/index.js'

interface Seen {
  path: string
  headers: IncomingHttpHeaders
  body: unknown
  at: number
}
interface Answer {
  status: number
  headers?: Record<string, string>
  body?: unknown
}

/** Answers in the order given, then 202; `reset` breaks the connection after the request was read. */
async function useEdge(t: TestScope, answers: (Answer | 'reset')[] = []) {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    seen.push({
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
      at: performance.now(),
    })
    const answer = answers.shift() ?? { status: 202, body: { id: 'run-1', source: '/carillon' } }
    if (answer === 'reset') return request.socket.destroy()
    response.writeHead(answer.status, { connection: 'close', ...answer.headers })
    response.end(JSON.stringify(answer.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const client = connectHttp({
    url: `http://127.0.0.1:${address.port}`,
    apiKey: 'ck_test',
    source: '/services/test',
    retry: { attempts: 4, baseMs: 1, maxMs: 5 },
  })
  return { seen, client }
}

/** What a call fails with; a call that succeeds fails the test that looks at it. */
const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'it succeeded',
    (error: unknown) => error,
  )

const event = { type: 'rides.ride.paid.v1', data: { rideId: 'r1' } }

t.test('every retry after 503 or a broken connection carries the same event', async (t) => {
  failOnLeaks(t)
  const { seen, client } = await useEdge(t, [{ status: 503 }, 'reset'])
  const published = await client.publish(event)
  t.equal(seen.length, 3)
  for (const call of seen) t.strictSame(call.body, seen[0]?.body)
  t.match(seen[0]?.body, { id: published.id, source: '/services/test', type: event.type })
  t.match(seen[0]?.headers, { authorization: 'Bearer ck_test', 'carillon-lane': 'normal' })
})

t.test('waits as long as Retry-After asks', async (t) => {
  const { seen, client } = await useEdge(t, [{ status: 429, headers: { 'retry-after': '1' } }])
  await client.publish(event)
  t.ok((seen[1]?.at ?? 0) - (seen[0]?.at ?? 0) >= 950, 'the second call comes a second later')
})

t.test('gives up as unavailable when the attempts are used up', async (t) => {
  const { seen, client } = await useEdge(
    t,
    Array.from({ length: 4 }, () => ({ status: 503 })),
  )
  t.match(await failureOf(client.publish(event)), { failure: 'unavailable', status: 503 })
  t.equal(seen.length, 4)
})

t.test('what is refused or not allowed is said at once, with code and field', async (t) => {
  const { seen, client } = await useEdge(t, [
    { status: 400, body: { code: 'VALIDATION', detail: 'data.x is not valid.', field: 'data.x' } },
    { status: 401, body: { code: 'UNAUTHORIZED', detail: 'The key is unknown.' } },
  ])
  const refused = await failureOf(client.publish(event))
  t.ok(refused instanceof CarillonClientError)
  t.match(refused, { failure: 'refused', code: 'VALIDATION', field: 'data.x', status: 400 })
  t.match(await failureOf(client.publish(event)), {
    failure: 'unauthorized',
    code: 'UNAUTHORIZED',
    status: 401,
  })
  t.equal(seen.length, 2, 'neither is repeated')
})

t.test('a batch goes out by lane and a thousand at a time', async (t) => {
  const { seen, client } = await useEdge(t)
  const many = Array.from({ length: 1_001 }, (_, index) => ({ ...event, id: `n${index}` }))
  const published = await client.publishAll([...many, { ...event, id: 'otp', lane: 'high' }])
  t.strictSame(
    seen.map((call) => [call.headers['carillon-lane'], Array.isArray(call.body) && call.body.length]),
    [
      ['normal', 1_000],
      ['normal', 1],
      ['high', 1],
    ],
  )
  t.equal(published.length, 1_002)
  t.equal(published[1_001]?.id, 'otp')
})

t.test('a trigger keeps its idempotency key over retries', async (t) => {
  const { seen, client } = await useEdge(t, [{ status: 503 }])
  await client.trigger('hello', { to: { id: 'ada' } })
  const keys = seen.map((call) => call.headers['idempotency-key'])
  t.equal(keys.length, 2)
  t.ok(keys[0])
  t.equal(keys[0], keys[1])
  await client.trigger('hello', { to: { id: 'ada' } }, { idempotencyKey: 'mine' })
  t.equal(seen[2]?.headers['idempotency-key'], 'mine')
})

t.test('an event that breaks the contract never reaches the wire', async (t) => {
  const { seen, client } = await useEdge(t)
  t.match(await failureOf(client.publish({ ...event, type: '' })), { name: 'ContractError' })
  t.match(await failureOf(client.publishAll([event, { ...event, time: 'yesterday' }])), { field: 'time' })
  t.equal(seen.length, 0)
})
