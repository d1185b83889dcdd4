import { once } from 'node:events'
import { connect } from 'node:net'
import { eventually } from '@carillon/testkit'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
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

/** What libraries of WebSocket take at most in one message unless told otherwise: Python's `websockets` does. */
const MIB = 1_048_576
const BODY = 30_000

interface Publication {
  data: unknown
  offset: number
}
interface Reply {
  id?: number
  connect?: { subs: { user: Place } }
  subscribe?: Place
  history?: { publications: Publication[] }
  push?: { channel: string; pub: Publication }
}
interface Place {
  epoch: string
  offset: number
  recovered?: boolean
  publications?: Publication[]
}

/** A client of the bare protocol that takes no message above 1 MiB. */
async function open(t: Test, url: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/connection/websocket`, { maxPayload: MIB })
  t.teardown(() => socket.terminate())
  const said: Reply[] = []
  let largest = 0
  socket.on('message', (data: Buffer) => {
    largest = Math.max(largest, data.length)
    for (const line of data.toString().split('\n')) said.push(JSON.parse(line))
  })
  socket.on('error', (error) => t.fail(error.message))
  await once(socket, 'open')
  let last = 0
  const ask = async (command: object): Promise<Reply> => {
    const id = ++last
    socket.send(JSON.stringify({ id, ...command }))
    await eventually(() => said.some((reply) => reply.id === id))
    return said.find((reply) => reply.id === id) as Reply
  }
  const pushed = (channel: string) =>
    said.flatMap(({ push }) => (push?.channel === channel ? [push.pub] : []))
  return { socket, ask, pushed, largest: () => largest }
}

const numbers = (publications: readonly Publication[] = []) => publications.map(({ data }) => numberOf(data))

t.test('what was missed comes whole and in order in messages that every client takes', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [{ namespace: 'big' }])
  const node = await useNode(t, nats.url, { maxQueuedBytes: 16 * MIB, heartbeatSeconds: 120 })
  const { write } = createWriter(t, connection)
  const token = await signToken({ channels: { 'room:big-1': ['subscribe', 'history'] } })

  const first = await open(t, node.url)
  const user = (await first.ask({ connect: { token } })).connect?.subs.user as Place
  const big = (await first.ask({ subscribe: { channel: 'room:big-1' } })).subscribe as Place
  first.socket.terminate()
  await write(personal(), range(1, 100), BODY)
  await write(room('big-1'), range(101, 200), BODY)

  const back = await open(t, node.url)
  const { subs } = (await back.ask({ connect: { token, subs: { user: { recover: true, ...user } } } }))
    .connect as {
    subs: { user: Place }
  }
  t.equal(subs.user.recovered, true)
  const seen = () => [...numbers(subs.user.publications), ...numbers(back.pushed('user'))]
  await eventually(() => seen().length === 100)
  t.same(seen(), range(1, 100))
  const { subscribe } = await back.ask({ subscribe: { channel: 'room:big-1', recover: true, ...big } })
  t.equal(subscribe?.recovered, true)
  const heard = () => [...numbers(subscribe?.publications), ...numbers(back.pushed('room:big-1'))]
  await eventually(() => heard().length === 100)
  t.same(heard(), range(101, 200))

  await write(personal(), [201])
  await eventually(() => seen().length === 101)
  t.equal(seen().at(-1), 201, 'what is new comes behind it')

  const read: number[] = []
  for (let since = big, last = -1; read.length !== last && read.length < 100; ) {
    last = read.length
    const { history } = await back.ask({ history: { channel: 'room:big-1', limit: 100, since } })
    const page = history?.publications ?? []
    t.ok(page.length > 0 && page.length < 100, `a page of ${page.length}`)
    read.push(...numbers(page))
    since = { ...since, offset: page.at(-1)?.offset ?? since.offset }
  }
  t.same(read, range(101, 200), 'history is asked on')
  t.ok(back.largest() < MIB, `${back.largest()} bytes at most`)
})

t.test('the newest of every key comes in messages that every client takes', async (t) => {
  const { nats, connection } = await useLive(t)
  await answerRules(t, connection, [{ namespace: 'big' }])
  const node = await useNode(t, nats.url, { maxQueuedBytes: 16 * MIB, heartbeatSeconds: 120 })
  const token = await signToken({ channels: { 'latest:big-1': ['subscribe', 'publish'] } })
  const channel = 'latest:big-1'
  const first = await open(t, node.url)
  await first.ask({ connect: { token } })
  await first.ask({ subscribe: { channel } })
  for (const n of range(1, 30)) {
    await first.ask({ publish: { channel, key: `k${n}`, data: { n, text: 'x'.repeat(BODY) } } })
  }
  const second = await open(t, node.url)
  await second.ask({ connect: { token } })
  const { subscribe } = await second.ask({ subscribe: { channel } })
  const came = () =>
    [...(subscribe?.publications ?? []), ...second.pushed(channel)].map(
      ({ data }) => (data as { n: number }).n,
    )
  await eventually(() => came().length === 30)
  t.same(came(), range(1, 30))
  t.ok(second.largest() < MIB / 1.5, `${second.largest()} bytes at most`)
})

t.test('who offers a subprotocol without a name is let in', async (t) => {
  const { nats } = await useLive(t)
  const node = await useNode(t, nats.url)
  const { hostname, port } = new URL(node.url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.write(
    `GET /v1/connection/websocket HTTP/1.1\r\nhost: ${hostname}\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: \r\n\r\n',
  )
  const [head] = (await once(socket, 'data')) as [Buffer]
  t.match(head.toString(), /^HTTP\/1\.1 101 /)
})
