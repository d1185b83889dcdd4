import { eventually, type TestScope } from '@carillon/testkit'
import {
  Centrifuge,
  type PublicationContext,
  type ServerPublicationContext,
  type TransportEndpoint,
} from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import {
  answerRules,
  createWriter,
  frameOf,
  numberOf,
  PATIENT_MS,
  personal,
  range,
  room,
  signToken,
  type TokenClaims,
  useLive,
  useNode,
} from './mesh.js'

interface Raw {
  socket: WebSocket
  /** Every reply and push, in order; pings are not among them. */
  said: Record<string, unknown>[]
  closeCode: number | undefined
  send(...commands: object[]): void
}

async function openRaw(
  t: TestScope,
  url: string,
  { answersPings = true }: { answersPings?: boolean } = {},
): Promise<Raw> {
  const socket = new WebSocket(address(url))
  const raw: Raw = {
    socket,
    said: [],
    closeCode: undefined,
    send: (...commands) => socket.send(commands.map((command) => JSON.stringify(command)).join('\n')),
  }
  socket.on('message', (data) => {
    for (const line of data.toString().split('\n')) {
      if (line !== '{}') raw.said.push(JSON.parse(line))
      else if (answersPings) socket.send('{}')
    }
  })
  socket.on('close', (code) => {
    raw.closeCode = code
  })
  t.teardown(() => socket.terminate())
  await new Promise((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })
  return raw
}

const address = (url: string) => `${url.replace('http', 'ws')}/v1/connection/websocket`

function useClient(t: TestScope, url: string, claims: TokenClaims = {}): Centrifuge {
  const transports: TransportEndpoint[] = [{ transport: 'websocket', endpoint: address(url) }]
  const client = new Centrifuge(transports, {
    websocket: WebSocket,
    getToken: () => signToken(claims),
    minReconnectDelay: 10,
    maxReconnectDelay: 50,
    timeout: PATIENT_MS,
  })
  t.teardown(() => client.disconnect())
  return client
}

t.test('the official client gets its personal channel and is recovered after every cut', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  const front = await useForwarder(t, node.url)
  const client = useClient(t, front.url)
  const seen: number[] = []
  const recovered: boolean[] = []
  client.on('publication', ({ channel, data }: ServerPublicationContext) => {
    if (channel === 'user') seen.push(numberOf(data))
  })
  client.on('subscribed', (context) => recovered.push(context.recovered))
  client.connect()
  await client.ready(PATIENT_MS)
  t.same(recovered, [false])
  await write(personal(), [1, 2])
  await eventually(() => seen.length === 2)
  let next = 3
  for (let round = 0; round < 10; round++) {
    front.cut()
    await write(personal(), range(next, next + 4))
    next += 5
    await eventually(() => seen.length === next - 1 && client.state === 'connected')
  }
  t.same(seen, range(1, next - 1))
  t.ok(recovered.length > 10 && recovered.slice(1).every(Boolean))
})

t.test('a subscription of the official client is recovered on another node', async (t) => {
  const { nats, connection } = await useLive(t)
  const first = await useNode(t, nats.url)
  const second = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  await write(room('ride-9'), [1])
  const front = await useForwarder(t, first.url)
  const client = useClient(t, front.url, { rooms: ['ride-9'] })
  const subscription = client.newSubscription('room:ride-9')
  const seen: number[] = []
  const contexts: { recovered: boolean; wasRecovering: boolean }[] = []
  subscription.on('publication', ({ data }: PublicationContext) => seen.push(numberOf(data)))
  subscription.on('subscribed', (context) => contexts.push(context))
  subscription.subscribe()
  client.connect()
  await subscription.ready(PATIENT_MS)
  await write(room('ride-9'), [2])
  await eventually(() => seen.length === 1)
  const history = await subscription.history({ limit: 10 })
  t.same(
    history.publications.map(({ data }) => numberOf(data)),
    [1, 2],
  )
  const newest = await subscription.history({ limit: 1, reverse: true })
  t.same(
    newest.publications.map(({ data }) => numberOf(data)),
    [2],
  )
  const since = await subscription.history({
    limit: 10,
    since: { offset: history.publications[0]?.offset ?? 0, epoch: history.epoch },
  })
  t.same(
    since.publications.map(({ data }) => numberOf(data)),
    [2],
  )
  // the node goes away in order; its address is taken over by the other one
  front.target = second.url
  await first.stop()
  await write(room('ride-9'), [3, 4])
  await eventually(() => seen.length === 3)
  t.same(seen, [2, 3, 4])
  t.match(contexts.at(-1), { recovered: true, wasRecovering: true })
})

t.test('commands are answered as the protocol says', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { write } = createWriter(t, connection)
  await answerRules(t, connection, [])
  await write(personal(), [1])
  const raw = await openRaw(t, node.url)
  const token = await signToken({ rooms: ['a', 'b'], channels: { 'room:d': ['publish'] } })
  raw.send(
    { id: 1, connect: { token } },
    { id: 2, subscribe: { channel: 'user' } },
    { id: 3, subscribe: { channel: 'nothing' } },
    { id: 4, subscribe: { channel: 'room:c' } },
    { id: 5, subscribe: { channel: 'room:a', recover: true, epoch: 'wrong', offset: 1 } },
    { id: 6, subscribe: { channel: 'room:b', recover: true, epoch: 'wrong', offset: 1, flag: 2 } },
    { id: 7, publish: { channel: 'room:a', data: {} } },
    { id: 8, dance: {} },
    { id: 9, unsubscribe: { channel: 'room:a' } },
    { id: 10, history: { channel: 'room:a' } },
    { id: 11, subscribe: {} },
    { id: 12, ping: {} },
    { id: 13, publish: { channel: 'room:d', data: {}, key: 'car-7' } },
    { id: 14, publish: { channel: 'room:d', data: {}, key: '' } },
  )
  await eventually(() => raw.said.length === 14)
  const reply = (id: number) => raw.said.find((said) => said.id === id)
  t.match(reply(1), {
    connect: { ping: 25, pong: true, expires: true, subs: { user: { recoverable: true } } },
  })
  t.match(reply(2), { error: { code: 105 } })
  t.match(reply(3), { error: { code: 102 } })
  t.match(reply(4), { error: { code: 103 } })
  t.match(reply(5), { subscribe: { was_recovering: true, recoverable: true } })
  t.notMatch(reply(5), { subscribe: { recovered: true } })
  t.match(reply(6), { error: { code: 112 } })
  t.match(reply(7), { error: { code: 103 } })
  t.match(reply(8), { error: { code: 104 } })
  t.match(reply(9), { unsubscribe: {} })
  t.match(reply(10), { error: { code: 103 } })
  t.match(reply(11), { error: { code: 107 } })
  t.match(reply(12), { ping: {} })
  t.match(reply(13), { error: { code: 107, message: /keeps everything/ } }, 'a room replaces nothing')
  t.match(reply(14), { publish: {} })

  await write(personal(), [2])
  await eventually(() => raw.said.length === 15)
  t.match(raw.said[14], { push: { channel: 'user', pub: { data: JSON.parse(frameOf(2)) } } })
})

t.test('connections that can not go on are ended with the code that says what to do', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { maxConnectionsPerUser: 2 })
  const good = await signToken()
  const cases: [string, number, object[]][] = [
    ['a bad token', 3500, [{ id: 1, connect: { token: `${good.slice(0, -4)}AAAA` } }]],
    [
      'a token of another key',
      3500,
      [{ id: 1, connect: { token: await signToken({ key: Buffer.alloc(32, 1) }) } }],
    ],
    [
      'a token for somebody else',
      3500,
      [{ id: 1, connect: { token: await signToken({ audience: 'other' }) } }],
    ],
    ['no token', 3500, [{ id: 1, connect: {} }]],
    ['a command before connect', 3501, [{ id: 1, subscribe: { channel: 'user' } }]],
    ['a command without id', 3501, [{ connect: { token: good } }]],
    [
      'connecting twice',
      3501,
      [
        { id: 1, connect: { token: good } },
        { id: 2, connect: { token: good } },
      ],
    ],
    [
      'what has no reply and is not offered',
      3508,
      [{ id: 1, connect: { token: good } }, { send: { data: {} } }],
    ],
  ]
  for (const [name, code, commands] of cases) {
    const raw = await openRaw(t, node.url)
    raw.send(...commands)
    await eventually(() => raw.closeCode !== undefined)
    t.equal(raw.closeCode, code, name)
    t.notOk(
      raw.said.some(({ push }) => (push as { disconnect?: unknown } | undefined)?.disconnect),
      `${name}: said by the close frame alone`,
    )
  }
  const garbage = await openRaw(t, node.url)
  garbage.socket.send('{"id":1,')
  await eventually(() => garbage.closeCode === 3501)
  const binary = await openRaw(t, node.url)
  binary.socket.send(Buffer.from([1, 2, 3]))
  await eventually(() => binary.closeCode === 3501)
  const large = await openRaw(t, node.url)
  large.socket.send(JSON.stringify({ id: 1, connect: { token: 'x'.repeat(140_000) } }))
  await eventually(() => large.closeCode === 1009)

  const expired = await openRaw(t, node.url)
  expired.send({ id: 1, connect: { token: await signToken({ expiresInSeconds: -5 }) } })
  await eventually(() => expired.said.length === 1)
  t.match(expired.said[0], { id: 1, error: { code: 109 } }, 'an expired token can be renewed')
  expired.send({ id: 2, connect: { token: good } })
  await eventually(() => expired.said.length === 2)
  t.match(expired.said[1], { id: 2, connect: {} })

  const second = await openRaw(t, node.url)
  second.send({ id: 1, connect: { token: good } })
  await eventually(() => second.said.length === 1)
  const third = await openRaw(t, node.url)
  third.send({ id: 1, connect: { token: good } })
  await eventually(() => third.closeCode === 3504)
  t.pass('one connection too many')
})

t.test('the end of a token ends the connection unless it was renewed', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url)
  const stays = await openRaw(t, node.url)
  const goes = await openRaw(t, node.url)
  for (const raw of [stays, goes]) {
    raw.send({ id: 1, connect: { token: await signToken({ expiresInSeconds: 6 }) } })
  }
  await eventually(() => stays.said.length === 1)
  stays.send({ id: 2, refresh: { token: await signToken() } })
  await eventually(() => stays.said.length === 2)
  await eventually(() => goes.closeCode === 3005)
  t.match(stays.said[1], { id: 2, refresh: { expires: true } })
  t.equal(stays.closeCode, undefined)
  stays.send({ id: 3, refresh: { token: await signToken({ user: 'bob' }) } })
  await eventually(() => stays.closeCode === 3500)
  t.pass('a token of somebody else does not renew it')
})

t.test('a new token that lets in no more puts out of the room', async (t) => {
  const { nats, connection } = await useLive(t)
  const node = await useNode(t, nats.url)
  await answerRules(t, connection, [])
  const raw = await openRaw(t, node.url)
  raw.send(
    { id: 1, connect: { token: await signToken({ rooms: ['a', 'b'] }) } },
    { id: 2, subscribe: { channel: 'room:a' } },
    { id: 3, subscribe: { channel: 'room:b' } },
  )
  await eventually(() => raw.said.length === 3)
  raw.send({ id: 4, refresh: { token: await signToken({ rooms: ['b'] }) } })
  await eventually(() => raw.said.length === 5)
  t.match(raw.said[3], { push: { channel: 'room:a', unsubscribe: { code: 2001 } } })
  t.match(raw.said[4], { id: 4, refresh: { expires: true } })
})

t.test('who does not answer pings is let go', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url, { heartbeatSeconds: 1 })
  const silent = await openRaw(t, node.url, { answersPings: false })
  const lively = await openRaw(t, node.url)
  const token = await signToken()
  for (const raw of [silent, lively]) raw.send({ id: 1, connect: { token } })
  await eventually(() => silent.closeCode === 3012)
  t.equal(lively.closeCode, undefined)
})

t.test(
  'a WebSocket client that does not read is let go, told why if it ever reads, and recovered',
  async (t) => {
    const { nats, connection } = await useLive(t)
    // who does not read answers no pings either; more than a turn brings, so that who reads is never behind
    const node = await useNode(t, nats.url, { maxQueuedBytes: 524_288, heartbeatSeconds: 120 })
    const { write } = createWriter(t, connection)
    const token = await signToken()
    const slow = await openRaw(t, node.url)
    const lively = await openRaw(t, node.url)
    for (const raw of [slow, lively]) raw.send({ id: 1, connect: { token } })
    await eventually(() => slow.said.length === 1 && lively.said.length === 1)
    slow.socket.pause()
    const disconnected = async () =>
      /disconnects_total\{transport="websocket",reason="slow"\} 1/.test(await node.metrics.render())
    const pubs = (raw: Raw) =>
      raw.said.flatMap((said) => {
        const push = said.push as { pub?: { data: unknown; offset: number } } | undefined
        return push?.pub === undefined ? [] : [push.pub]
      })
    let n = 0
    while (!(await disconnected()) && n < 1_000) {
      await write(personal(), range(n + 1, n + 10), 30_000)
      n += 10
      // the node has sent all that was written: none of it is on its way when the slow one goes
      await eventually(() => pubs(lively).length === n, { everyMs: 5 })
    }
    t.ok(await disconnected(), `after ${n} frames of 30 kB`)
    slow.socket.resume()
    await eventually(() => slow.closeCode !== undefined)
    const read = pubs(slow)
    t.same(
      read.map(({ data }) => numberOf(data)),
      range(1, read.length),
    )
    // as much as a channel's history keeps
    t.ok(n - read.length < 200, `${read.length} of ${n} frames read, closed with ${slow.closeCode}`)
    const first = slow.said[0]?.connect as { subs: { user: { epoch: string; offset: number } } }
    // a ping right behind all of it cuts nobody off there
    const roomy = await useNode(t, nats.url, { maxQueuedBytes: 16 * 1_048_576 })
    const again = await openRaw(t, roomy.url)
    const { epoch, offset } = first.subs.user
    const position = { recover: true, epoch, offset: read.at(-1)?.offset ?? offset }
    again.send({ id: 1, connect: { token, subs: { user: position } } })
    await eventually(() => again.said.length > 0)
    const reply = again.said[0]?.connect as {
      subs: { user: { recovered: boolean; publications: { data: unknown }[] } }
    }
    t.equal(reply.subs.user.recovered, true)
    const back = () => [...reply.subs.user.publications, ...pubs(again)].map(({ data }) => numberOf(data))
    await eventually(() => back().length === n - read.length)
    t.same(back(), range(read.length + 1, n))
  },
)
