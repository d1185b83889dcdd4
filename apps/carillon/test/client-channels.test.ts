import { randomUUID } from 'node:crypto'
import type { Carillon, Channel } from '@carillon/client'
import { eventually } from '@carillon/testkit'
import t, { type Test } from 'tap'
import type { RunningMesh } from '../src/mesh/up.js'
import { newPerson, signToken, useClient, useMesh, useNetwork, whenReady } from './client-world.js'

type Wish = Parameters<typeof useClient>[2]
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)
const room = () => `room:talk-${randomUUID().slice(0, 8)}` as const
const whenJoined = (...channels: Channel[]) =>
  eventually(() => channels.every((channel) => channel.getSnapshot().state === 'joined'))
const MEMBER = ['subscribe', 'publish']

t.test('channels of the client', async (t) => {
  const mesh = await useMesh(t)
  await t.test('a conversation', (t) => conversation(t, mesh))
  await t.test('a word at once', (t) => atOnce(t, mesh))
  await t.test('a room over a connection that is cut', (t) => cutRoom(t, mesh))
  await t.test('who may not', (t) => refusedRooms(t, mesh))
  await t.test('who may not, over SSE', (t) => refusedOverSse(t, mesh))
  for (const transports of ['websocket', 'sse'] as const) {
    await t.test(`a look into a room over ${transports}`, (t) => look(t, mesh, transports))
  }
  await t.test('positions', (t) => positions(t, mesh))
  for (const way of ['http_stream', 'sse'] as const) {
    await t.test(`where WebSocket is blocked: ${way}`, (t) => blocked(t, mesh, way))
  }
})

function useMember(t: Test, mesh: RunningMesh, user: string, name: string, wish: Wish = {}): Carillon {
  const getToken = async () => signToken(mesh, user, { channels: { [name]: MEMBER } })
  const client = useClient(t, mesh, { user, getToken, ...wish })
  client.connect()
  return client
}

async function conversation(t: Test, mesh: RunningMesh): Promise<void> {
  const name = room()
  const ada = useMember(t, mesh, 'ada', name)
  const bob = useMember(t, mesh, 'bob', name)
  const hers = ada.channel(name)
  t.equal(hers.getSnapshot().state, 'joining')
  await whenJoined(hers)
  const his = bob.channel(name)
  await whenJoined(his)
  const users = (channel: Channel) =>
    channel
      .getSnapshot()
      .members.map(({ user }) => user)
      .sort()
  for (const channel of [hers, his]) await eventually(() => users(channel).length === 2)
  t.same(users(hers), ['ada', 'bob'])
  t.equal(his.getSnapshot().memberCount, 2)

  const heard: unknown[] = []
  const stop = his.onMessage(({ data, from }) => heard.push([data, from?.user]))
  const before = his.getSnapshot()
  t.equal(his.getSnapshot(), before)
  await hers.publish({ text: 'hello' })
  await mesh.carillon.publishTo(name, { text: 'from a service' })
  await eventually(() => heard.length === 2 && hers.getSnapshot().messages.length === 2)
  t.same(heard, [
    [{ text: 'hello' }, 'ada'],
    [{ text: 'from a service' }, undefined],
  ])
  t.equal(his.getSnapshot().messages[1]?.from, null)
  t.not(his.getSnapshot(), before)
  stop()

  const again = bob.channel(name)
  t.equal(again.getSnapshot().messages.length, 2, 'a second handle has what the first heard')
  his.leave()
  t.equal(his.getSnapshot().state, 'left')
  await t.rejects(his.publish({ text: 'x' }), { code: 'LEFT' })
  await hers.publish({ text: 'still there?' })
  await eventually(() => again.getSnapshot().messages.length === 3)
  t.equal(heard.length, 2, 'only the first was left')

  const late = useMember(t, mesh, 'ada', name).channel(name)
  await whenJoined(late)
  t.same(late.getSnapshot().messages, [], 'what was said before is asked for')
  const texts = (messages: readonly { data: unknown }[]) =>
    messages.map(({ data }) => (data as { text: string }).text)
  const history = await late.history()
  t.same(texts(history), ['hello', 'from a service', 'still there?'])
  t.same(texts(await late.history({ newestFirst: true, limit: 1 })), ['still there?'])
  t.same(texts(await late.history({ since: history[0]?.offset ?? 0, limit: 1 })), ['from a service'])

  again.leave()
  await eventually(() => !users(hers).includes('bob'))
  t.pass('who goes is seen to go')
}

async function atOnce(t: Test, mesh: RunningMesh): Promise<void> {
  const name = room()
  const channel = useMember(t, mesh, 'ada', name).channel(name)
  await channel.publish({ text: 'first' })
  await eventually(() => channel.getSnapshot().messages.length === 1)
  t.equal(channel.getSnapshot().state, 'joined', 'what is said while joining waits for it')
}

async function cutRoom(t: Test, mesh: RunningMesh): Promise<void> {
  const name = room()
  const network = await useNetwork(t, mesh)
  const client = useMember(t, mesh, 'ada', name, { url: network.url, transports: 'websocket' })
  const channel = client.channel(name)
  const heard: number[] = []
  channel.onMessage(({ data }) => heard.push((data as { n: number }).n))
  await whenJoined(channel)
  for (const n of range(1, 60)) {
    await mesh.carillon.publishTo(name, { n })
    if (n % 10 === 5) network.cut()
  }
  await eventually(() => heard.length >= 60, { timeoutMs: 90_000 })
  t.same(heard, range(1, 60), 'each message once, in order')
  await whenJoined(channel)
  t.ok(channel.getSnapshot().recovered)

  network.down()
  await eventually(() => client.state === 'offline')
  await t.rejects(channel.publish({ n: 0 }), { code: 'OFFLINE' })
  for (let from = 1; from <= 300; from += 100) {
    await mesh.carillon.publishAllTo(range(from, from + 99).map((n) => ({ channel: name, data: { n } })))
  }
  network.up()
  await whenJoined(channel)
  t.notOk(channel.getSnapshot().recovered, 'more was said than is kept: it says so')
  await channel.publish({ n: 301 })
  await eventually(() => heard.at(-1) === 301)
  t.equal(heard.length, 61, 'and nothing in part')
}

async function refusedRooms(t: Test, mesh: RunningMesh): Promise<void> {
  const name = room()
  const { user } = await newPerson(mesh)
  const client = useClient(t, mesh, { user })
  client.connect()
  const channel = client.channel(name)
  await eventually(() => channel.getSnapshot().state === 'refused')
  t.match(channel.getSnapshot().error, { code: 'CHANNEL_DENIED', message: String })
  t.equal(client.state, 'connected', 'the rest goes on')
  await t.rejects(channel.publish({ text: 'x' }), { code: 'NOT_JOINED' })
  channel.leave()

  let asked = 0
  const withToken = client.channel(name, {
    token: async () => {
      asked += 1
      return (await mesh.carillon.channelToken(user, name, { permissions: ['subscribe'] })).token
    },
  })
  await whenJoined(withToken)
  t.equal(asked, 1, 'a token for the channel lets in')
  await t.rejects(withToken.publish({ text: 'x' }), { code: 'CHANNEL_DENIED' })
}

async function refusedOverSse(t: Test, mesh: RunningMesh): Promise<void> {
  const [mine, other] = [room(), room()]
  const { user, ring } = await newPerson(mesh)
  let channels: Record<string, string[]> = { [mine]: MEMBER }
  const client = useClient(t, mesh, {
    user,
    transports: 'sse',
    getToken: async () => signToken(mesh, user, { channels, seconds: 12 }),
  })
  client.connect()
  const [allowed, denied] = [client.channel(mine), client.channel(other)]
  await whenJoined(allowed)
  t.match(denied.getSnapshot(), { state: 'refused', error: { code: 'CHANNEL_DENIED' } })
  await whenReady(client)
  const arrived: string[] = []
  client.onNotification(({ body }) => arrived.push(body))
  await mesh.carillon.publishTo(mine, { n: 1 })
  await ring('one')
  await eventually(() => arrived.length === 1 && allowed.getSnapshot().messages.length === 1)
  t.pass('one that is refused leaves the others alone')

  channels = {}
  await eventually(() => allowed.getSnapshot().state === 'refused', { timeoutMs: 60_000 })
  await ring('two')
  await eventually(() => arrived.length === 2, { timeoutMs: 60_000 })
  t.pass('also one that a later token no longer lets into')
  const many = Array.from({ length: 7 }, () => client.channel(room()))
  t.match(many[6]?.getSnapshot().state, 'refused')
}

async function look(t: Test, mesh: RunningMesh, transports: 'websocket' | 'sse'): Promise<void> {
  const name = room()
  const seen = useMember(t, mesh, 'ada', name, { transports }).channel(name)
  const member = useMember(t, mesh, 'bob', name).channel(name)
  await whenJoined(seen, member)
  await member.publish({ n: 1 })
  await seen.publish({ n: 2 })
  await mesh.carillon.publishTo(name, { n: 3 })
  await eventually(() => seen.getSnapshot().messages.length === 3)

  const all = await seen.history()
  t.same(all, seen.getSnapshot().messages, 'read back as it was heard')
  t.match(all, [{ data: { n: 1 }, from: { user: 'bob' } }, { from: { user: 'ada' } }, { from: null }])
  const [first, , last] = all.map(({ offset }) => Number(offset))
  const numbers = async (options: Parameters<Channel['history']>[0]) =>
    (await seen.history(options)).map(({ data }) => (data as { n: number }).n)
  t.same(await numbers({ since: Number(first), limit: 1 }), [2])
  t.same(await numbers({ newestFirst: true, limit: 500 }), [3, 2, 1])
  t.same(await numbers({ newestFirst: true, since: Number(last) }), [2, 1])

  // who listens by SSE alone is in no list
  const users = transports === 'sse' ? ['bob'] : ['ada', 'bob']
  await eventually(async () => (await seen.presenceStats()).clients === users.length)
  t.same(await seen.presenceStats(), { clients: users.length, users: users.length })
  const { members, ...stats } = await seen.presence()
  t.same(stats, { clients: users.length, users: users.length })
  t.same(members?.map(({ user }) => user).sort(), users)
  t.match(members?.[0], { client: /./, user: String, info: null })

  const { user } = await newPerson(mesh)
  const stranger = useClient(t, mesh, { user, transports })
  stranger.connect()
  const closed = stranger.channel(name)
  await eventually(() => closed.getSnapshot().state === 'refused')
  const questions: (() => Promise<unknown>)[] = [closed.history, closed.presence, closed.presenceStats]
  for (const ask of questions)
    await t.rejects(ask(), transports === 'sse' ? { code: 'CHANNEL_DENIED' } : { name: 'CarillonError' })
  closed.leave()
  await t.rejects(closed.presence(), { code: 'LEFT' })
}

async function positions(t: Test, mesh: RunningMesh): Promise<void> {
  const name = `latest:cab-${randomUUID().slice(0, 8)}` as const
  for (const transports of ['websocket', 'sse'] as const) {
    await t.test(`over ${transports}`, async (t) => {
      const watcher = useMember(t, mesh, 'ada', name, { transports })
      const driver = useMember(t, mesh, 'bob', name)
      const seen = watcher.channel(name)
      const own = driver.channel(name)
      await whenJoined(seen, own)
      const shown = () =>
        seen
          .getSnapshot()
          .messages.map(({ key, data }) => `${key} ${(data as { x: number }).x}`)
          .sort()
          .join()
      await mesh.carillon.publishTo(name, { x: 1 }, { key: 'car-1' })
      await mesh.carillon.publishTo(name, { x: 2 }, { key: 'car-2' })
      await eventually(() => shown() === 'car-1 1,car-2 2')
      await mesh.carillon.publishTo(name, { x: 3 }, { key: 'car-1' })
      await eventually(() => shown() === 'car-1 3,car-2 2')
      t.pass('the newest of each key')
      await own.publish({ x: 9 }, { key: 'car-2' })
      await eventually(() => shown() === '@bob/car-2 9,car-1 3,car-2 2')
      t.pass('a client says its own, and replaces nothing of others')
      await t.rejects(seen.history(), { code: 'NOT_AVAILABLE' })
      await t.rejects(seen.presenceStats(), { name: 'CarillonError' })

      const { user } = await newPerson(mesh)
      const guest = useClient(t, mesh, { user })
      guest.connect()
      const token = async () =>
        (await mesh.carillon.channelToken(user, name, { permissions: ['subscribe', 'publish'] })).token
      await guest.channel(name, { token }).publish({ x: 7 }, { key: 'car-3' })
      await eventually(() => shown().includes(`@${user}/car-3 7`))
      t.pass('also with a token for the channel alone')
    })
  }
}

/** Networks that let no WebSocket through: the library finds its own way. */
async function blocked(t: Test, mesh: RunningMesh, way: 'http_stream' | 'sse'): Promise<void> {
  const name = room()
  const { user, ring } = await newPerson(mesh)
  const client = useMember(t, mesh, user, name, {
    WebSocket: BlockedSocket,
    fetch: way === 'http_stream' ? fetch : withoutStreams,
  })
  const arrived: string[] = []
  client.onNotification(({ body }) => arrived.push(body))
  await whenReady(client)
  const channel = client.channel(name)
  await whenJoined(channel)
  await ring('through')
  await channel.publish({ text: 'both ways' })
  await eventually(() => arrived.length === 1 && channel.getSnapshot().messages.length === 1)
  const [item] = client.inbox.getSnapshot().items
  await client.inbox.read([item?.id ?? ''])
  await eventually(() => client.inbox.getSnapshot().unread === 0)
  t.pass('hears, says and asks')
}

class BlockedSocket extends EventTarget {
  readyState = 3
  onerror: ((event: unknown) => void) | null = null
  onclose: ((event: unknown) => void) | null = null

  constructor() {
    super()
    queueMicrotask(() => {
      this.onerror?.({ type: 'error' })
      this.onclose?.({ code: 1006, reason: '' })
    })
  }

  close(): void {
    this.readyState = 3
  }
}

/** As behind a proxy that holds answers back until they are whole. */
const withoutStreams: typeof fetch = async (input, init) => {
  if (String(input).includes('http_stream')) throw new TypeError('fetch failed')
  return fetch(input, init)
}
