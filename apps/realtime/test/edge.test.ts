import { get } from 'node:http'
import { connect } from 'node:net'
import { eventually } from '@carillon/testkit'
import { EventSource } from 'eventsource'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import {
  answerRules,
  createWriter,
  numberOf,
  personal,
  range,
  room,
  signToken,
  useLive,
  useNode,
} from './mesh.js'
import { openSse, type SseClient } from './sse-client.js'

t.test('nobody gets in without a token that is good for what they ask', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [])
  const node = await useNode(t, nats.url, { allowedOrigins: ['https://app.example'] })
  const good = await signToken({ rooms: ['a'] })
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`
  const long = await signToken({ expiresInSeconds: 86_400 })
  const cookie = { cookie: `a=b; carillon_token=${good}` }
  const foreign = { origin: 'https://evil.example' }
  const refused: [string, number, string, Parameters<typeof openSse>[2]][] = [
    ['no token', 401, 'TOKEN_MISSING', {}],
    ['rubbish', 401, 'TOKEN_INVALID', { token: 'rubbish' }],
    ['another scheme', 401, 'TOKEN_INVALID', { headers: { authorization: `Basic ${good}` } }],
    ['no algorithm', 401, 'TOKEN_INVALID', { token: none }],
    ['another key', 401, 'TOKEN_INVALID', { token: await signToken({ key: Buffer.alloc(32, 9) }) }],
    ['another issuer', 401, 'TOKEN_INVALID', { token: await signToken({ issuer: 'else' }) }],
    ['an impossible tenant', 401, 'TOKEN_INVALID', { token: await signToken({ tenant: 'a.>' }) }],
    ['an expired one', 401, 'TOKEN_EXPIRED', { token: await signToken({ expiresInSeconds: -1 }) }],
    ['a long one in the address', 401, 'TICKET_TOO_LONG', { query: `?token=${long}` }],
    ['a foreign page with our cookie', 403, 'ORIGIN_DENIED', { headers: { ...cookie, ...foreign } }],
    ['an unknown channel', 404, 'CHANNEL_UNKNOWN', { token: good, query: '?channel=wall' }],
    ['a wildcard', 404, 'CHANNEL_UNKNOWN', { token: good, query: '?channel=room:*' }],
    ["somebody else's room", 403, 'CHANNEL_DENIED', { token: good, query: '?channel=room:b' }],
    [
      'too many channels',
      400,
      'TOO_MANY_CHANNELS',
      {
        token: good,
        query: `?${range(1, 8)
          .map((n) => `channel=room:a${n}`)
          .join('&')}`,
      },
    ],
  ]
  for (const [name, status, code, options] of refused) {
    const client = await openSse(t, node.url, options)
    t.match({ status: client.status, ...client.problem }, { status, code }, name)
    t.match(client.headers['content-type'], /^application\/problem\+json/)
  }
  const accepted: [string, Parameters<typeof openSse>[2]][] = [
    ['header', { token: good }],
    ['cookie', { headers: cookie }],
    ['ticket', { query: `?token=${good}` }],
    ['cookie on our own page', { headers: { ...cookie, origin: node.url } }],
    ['cookie on a listed page', { headers: { ...cookie, origin: 'https://app.example' } }],
  ]
  for (const [name, options] of accepted) {
    const client = await openSse(t, node.url, options)
    t.equal(client.status, 200, name)
    client.cut()
  }
  const listed = await openSse(t, node.url, { token: good, headers: { origin: 'https://app.example' } })
  t.equal(listed.headers['access-control-allow-origin'], 'https://app.example')
  const upgrade = (headers: Record<string, string>) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(`${node.url.replace('http', 'ws')}/v1/connection/websocket`, { headers })
      socket.on('open', () => {
        resolve(101)
        socket.terminate()
      })
      socket.on('error', () => undefined)
      socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0))
    })
  t.equal(
    await upgrade({ ...cookie, ...foreign }),
    403,
    'a foreign page can not open a WebSocket with our cookie',
  )
  t.equal(await upgrade({ authorization: 'Bearer rubbish' }), 401)
  t.equal(await upgrade(cookie), 101)
})

t.test('two tenants with the same user and room never see one frame of each other', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const query = '?channel=user&channel=room:lobby'
  const open = async (tenant: string) =>
    openSse(t, node.url, { query, token: await signToken({ tenant, rooms: ['lobby'] }) })
  const acme = await open('acme')
  const umbrella = await open('umbrella')
  await eventually(() => acme.lastId !== '' && umbrella.lastId !== '')
  await write(personal('anna', 'acme'), [1])
  await write(room('lobby', 'acme'), [2])
  await write(personal('anna', 'umbrella'), [3])
  await write(room('lobby', 'umbrella'), [4])
  await eventually(() => acme.events.length === 3 && umbrella.events.length === 3)
  t.same([acme.numbers(), acme.numbers('room:lobby')], [[1], [2]])
  t.same([umbrella.numbers(), umbrella.numbers('room:lobby')], [[3], [4]])
})

t.test('the EventSource of npm comes back by itself and misses nothing', async (t) => {
  const { nats, connection } = await useLive(t)
  const nodes = [await useNode(t, nats.url), await useNode(t, nats.url)]
  const front = await useForwarder(t, nodes[0]?.url as string)
  const { write } = createWriter(t, connection)
  const source = new EventSource(`${front.url}/v1/sse?channel=user&token=${await signToken()}`)
  t.teardown(() => source.close())
  const seen: number[] = []
  let readies = 0
  source.onmessage = ({ data }) => seen.push(numberOf(JSON.parse(data)))
  source.addEventListener('ready', () => readies++)
  await eventually(() => readies === 1)
  await write(personal(), [1, 2])
  await eventually(() => seen.length === 2)
  front.target = nodes[1]?.url as string
  await nodes[0]?.service.drain()
  t.equal((await nodes[0]?.health.report())?.ok, false, 'a node that drains is unready')
  await write(personal(), [3])
  await eventually(() => readies === 2)
  await write(personal(), [4])
  await eventually(() => seen.length === 4)
  t.same(seen, [1, 2, 3, 4])
})

t.test('a reader that does not read is disconnected, delays nobody and resumes whole', async (t) => {
  const { nats, connection } = await useLive(t)
  // more than a turn brings, so that who reads is never behind
  const node = await useNode(t, nats.url, { maxQueuedBytes: 524_288 })
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const slow = await openSse(t, node.url, { token })
  const quick = await openSse(t, node.url, { token })
  await eventually(() => slow.lastId !== '' && quick.lastId !== '')
  slow.response.pause()
  let n = 0
  const disconnected = async () =>
    /disconnects_total\{transport="sse",reason="slow"\} [1-9]/.test(await node.metrics.render())
  // the kernel takes some megabytes before anything queues here
  while (!(await disconnected()) && n < 1_000) {
    await write(personal(), range(n + 1, n + 10), 30_000)
    n += 10
    // its first event is none of them
    await eventually(() => quick.events.length === n + 1, { everyMs: 5 })
  }
  t.ok(await disconnected(), `after ${n} frames of 30 kB`)
  t.same(quick.numbers(), range(1, n), 'the other reader has everything')
  slow.response.resume()
  await eventually(() => slow.ended)
  const read = slow.numbers()
  t.same(read, range(1, read.length), 'what it did read was whole')
  // a heartbeat right behind all of it cuts nobody off there
  const roomy = await useNode(t, nats.url, { maxQueuedBytes: 16 * 1_048_576 })
  const again = await openSse(t, roomy.url, { token, lastId: slow.lastId })
  await eventually(() => again.events.length > 0)
  if (n - read.length < 200) {
    await eventually(() => again.numbers().length === n - read.length)
    t.same([...read, ...again.numbers()], range(1, n))
  } else {
    await eventually(() => again.events.some(({ type }) => type === 'reset'))
    t.pass('too far behind: told so')
  }
})

t.test('one user can not have every connection, and a rush is asked to come back', async (t) => {
  const { nats } = await useLive(t)
  const few = await useNode(t, nats.url, { maxConnectionsPerUser: 2 })
  const token = await signToken()
  const clients = [await openSse(t, few.url, { token }), await openSse(t, few.url, { token })]
  const third = await openSse(t, few.url, { token })
  t.match({ status: third.status, ...third.problem }, { status: 429, code: 'TOO_MANY_CONNECTIONS' })
  clients[0]?.cut()
  await eventually(async () => (await openSse(t, few.url, { token })).status === 200)
  t.equal((await openSse(t, few.url, { token: await signToken({ user: 'bob' }) })).status, 200)

  const rushed = await useNode(t, nats.url, { connectsPerSecond: 1 })
  const rush = await Promise.all(
    range(1, 30).map(() => openSse(t, rushed.url, { token, headers: { accept: '*/*' } })),
  )
  const refused = rush.filter(({ status }) => status === 503)
  t.ok(rush.some(({ status }) => status === 200) && refused.length > 0)
  for (const { headers } of refused) t.ok(Number(headers['retry-after']) >= 1)
})

t.test('a frame that is no JSON object is left out and nothing behind it waits', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const token = await signToken()
  const client = await openSse(t, node.url, { token })
  await eventually(() => client.lastId !== '')
  const begin = client.lastId
  await write(personal(), [1])
  for (const body of ['', 'not json', '[1]', '{"a":1}\n\nevent: reset\ndata: {}', '\u0000']) {
    connection.publishCore(personal(), body)
  }
  connection.publishCore(personal(), '{\n"notification":{"data":\r\n{"n":2}}}')
  await write(personal(), [3])
  await eventually(() => client.numbers().length === 3)
  t.same(client.numbers(), [1, 2, 3])
  t.notOk(client.events.some(({ type }) => type === 'reset'))
  const cold = await useNode(t, nats.url)
  const again = await openSse(t, cold.url, { token, lastId: begin })
  await eventually(() => again.numbers().length === 3)
  t.same(again.numbers(), [1, 2, 3])
})

t.test('an SSE connection is rotated and ends with its token, and draining lets everybody go', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { rotateSeconds: 1, heartbeatSeconds: 1 })
  const rotated = await openSse(t, node.url, { token: await signToken() })
  await eventually(() => rotated.ended)
  t.same(
    rotated.events.map(({ type }) => type),
    ['ready'],
  )
  const steady = await useNode(t, nats.url, { heartbeatSeconds: 1 })
  const expired = await openSse(t, steady.url, { token: await signToken({ expiresInSeconds: 5 }) })
  await eventually(() => expired.ended)
  t.equal(expired.events.at(-1)?.type, 'expired')
  const clients: SseClient[] = []
  for (let i = 0; i < 120; i++) {
    clients.push(await openSse(t, steady.url, { token: await signToken({ user: `user-${i % 10}` }) }))
  }
  await steady.service.drain()
  await eventually(() => clients.every(({ ended }) => ended))
  t.ok(
    clients.every(({ retryMs }) => (retryMs ?? 0) >= 500),
    'each was told when to come back',
  )
  const late = await openSse(t, steady.url, { token: await signToken() })
  await eventually(() => late.ended)
  t.ok((late.retryMs ?? 0) >= 1_000, 'who comes while it drains is sent away for a while')
})

t.test('an HTTP/1.0 proxy gets a stream that it can pass on', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const { port } = new URL(node.url)
  const socket = connect(Number(port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.write(`GET /v1/sse HTTP/1.0\r\nauthorization: Bearer ${await signToken()}\r\n\r\n`)
  await eventually(() => text.includes('event: ready'))
  await write(personal(), [1])
  await eventually(() => text.includes('"n":1'))
  t.notMatch(text, /transfer-encoding/i)
  const live = await new Promise<number>((resolve) =>
    get(`${node.url}/health/live`, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }),
  )
  t.equal(live, 200)
})

t.test('a listed page can read why it was refused, and a foreign one reads nothing', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { allowedOrigins: ['https://app.example'] })
  const post = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
  const cases: [string, number, RequestInit?][] = [
    ['/v1/sse', 401],
    ['/v1/poll', 401],
    ['/v1/connection/sse', 400],
    ['/v1/connection/http_stream', 400, { method: 'POST', body: '' }],
    ['/v1/emulation', 400, post({})],
    ['/v1/emulation', 404, post({ node: 'gone', session: 'x', data: '{}' })],
    ['/v1/me/channels/room:a/publish', 400, post({})],
    ['/v1/me/channels/room:a/publish', 401, post({ data: {} })],
  ]
  for (const [path, status, init] of cases) {
    const answer = async (origin: string) => {
      const headers = { origin, 'content-type': 'application/json' }
      const response = await fetch(`${node.url}${path}`, { ...init, headers })
      await response.arrayBuffer()
      return [response.status, response.headers.get('access-control-allow-origin')]
    }
    t.same(await answer('https://app.example'), [status, 'https://app.example'], `${path} ${status}`)
    t.equal((await answer('https://evil.example'))[1], null)
  }
})
