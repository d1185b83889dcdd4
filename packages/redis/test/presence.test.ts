import { monitorEventLoopDelay } from 'node:perf_hooks'
import { eventually, type TestScope, useRedis } from '@carillon/testkit'
import t from 'tap'
import {
  createOnline,
  createPresence,
  openRedis,
  type PlaceChanges,
  type Presence,
  type PresenceRoom,
  type RedisConnection,
} from '../src/index.js'

const server = await useRedis(t)
/** Longer than anything stands still; tests that see one end have their own. */
const LEASE_MS = 60_000
const GRACE_MS = 15_000
/** Of a node that is killed: nothing else may end it before. */
const DEAD_MS = 6_000

interface Node {
  redis: RedisConnection
  presence: Presence
  /** What was told here: `+client` and `-client`. */
  told: string[]
  /** Its clock, which counts grace and how long it has held its lease, stands still but for this. */
  later(ms: number): void
  /** Its connection is cut, as when the process is killed. */
  kill(): Promise<void>
}

async function connect(name: string): Promise<RedisConnection> {
  const redis = await openRedis({ url: server.url, name, commandTimeoutMs: 30_000 })
  await eventually(() => redis.up)
  return redis
}

async function useNode(t: TestScope, name: string, options: { leaseMs?: number } = {}): Promise<Node> {
  const redis = await connect(name)
  const told: string[] = []
  let now = 0
  const presence = createPresence(redis, {
    node: name,
    leaseMs: LEASE_MS,
    graceMs: GRACE_MS,
    tickMs: 20,
    now: () => now,
    ...options,
    onChanges: (room, { left, joined }: PlaceChanges) => {
      for (const { client } of left) told.push(`${room.id}-${client}`)
      for (const { client } of joined) told.push(`${room.id}+${client}`)
    },
    onFailure: (error) => {
      throw error
    },
  })
  const kill = async () => {
    await redis.close()
    await presence[Symbol.asyncDispose]()
  }
  t.teardown(kill)
  const later = (ms: number) => {
    now += ms
  }
  return { redis, presence, told, later, kill }
}

let rooms = 0
const nextRoom = (): PresenceRoom => ({ tenant: 'acme', id: `ride-${++rooms}` })

t.beforeEach(async () => {
  const redis = await connect('test')
  await redis.client.flushall()
  await redis.close()
})

const peopleOf = (ids: readonly string[], tenant = 'acme') => ids.map((id) => ({ tenant, id }))

async function clientsOf(node: Node, room: PresenceRoom): Promise<string[]> {
  const { members } = await node.presence.read(room)
  return (members ?? []).map(({ user, client }) => `${user}/${client}`).sort()
}

t.test('who joined on one node is read on another, and both ways are told once', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1', info: { car: 'red' } })
  two.presence.join(room, { user: 'ben', client: 'b1' })
  two.presence.join(room, { user: 'anna', client: 'a2' })
  await eventually(() => one.told.length + two.told.length === 3)
  const view = await one.presence.read(room)
  t.match(view, { clients: 3, users: 2 })
  t.same(
    view.members?.find(({ client }) => client === 'a1'),
    { user: 'anna', client: 'a1', info: { car: 'red' } },
  )
  one.presence.leave(room, 'a1')
  one.presence.leave(room, 'a1')
  t.same(await clientsOf(one, room), ['anna/a2', 'ben/b1'], 'a reader sees what was done before it asked')
  t.same(await clientsOf(two, room), ['anna/a2', 'ben/b1'])
  await eventually(() => one.told.length === 2)
  t.same(one.told, [`${room.id}+a1`, `${room.id}-a1`])
  t.same(two.told, [`${room.id}+b1`, `${room.id}+a2`])
  t.same(await clientsOf(one, { ...room, tenant: 'other' }), [], 'another tenant has another room')
})

t.test('who comes and goes within a tick is told of neither way', async (t) => {
  const one = await useNode(t, 'one')
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1' })
  one.presence.leave(room, 'a1')
  one.presence.join(room, { user: 'ben', client: 'b1' })
  one.presence.lose(room, 'b1')
  one.presence.join(room, { user: 'cleo', client: 'c1' })
  await eventually(() => one.told.length === 1)
  t.same(one.told, [`${room.id}+c1`])
  t.same(await clientsOf(one, room), ['cleo/c1'])
})

t.test('who was listed and goes within the tick of their coming is told to have left', async (t) => {
  const one = await useNode(t, 'one')
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1' })
  // reading writes at once; telling waits for the tick
  t.same(await clientsOf(one, room), ['anna/a1'])
  one.presence.leave(room, 'a1')
  t.same(await clientsOf(one, room), [])
  await eventually(() => one.told.includes(`${room.id}-a1`))
  t.equal(one.told.at(-1), `${room.id}-a1`)
})

t.test('who comes back within the grace, anywhere, neither left nor joined', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1' })
  one.presence.join(room, { user: 'ben', client: 'b1' })
  await eventually(() => one.told.length === 2)
  // who reads has written before what happened on that node
  const listed = async (first: Node, second: Node) => {
    for (const node of [first, second]) t.same(await clientsOf(node, room), ['anna/a1', 'ben/b1'])
  }
  one.presence.lose(room, 'a1')
  await listed(one, two)
  two.presence.join(room, { user: 'anna', client: 'a2' })
  await listed(two, one)
  two.presence.lose(room, 'a2')
  await listed(two, one)
  two.presence.join(room, { user: 'anna', client: 'a3' })
  await listed(two, one)
  one.presence.lose(room, 'b1')
  one.later(GRACE_MS)
  await eventually(() => one.told.length === 3)
  t.same(one.told.slice(2), [`${room.id}-b1`], 'who does not come back has left')
  t.same(await clientsOf(one, room), ['anna/a1'], 'and whoever came back has not')
  t.equal(one.presence.places, 0)
  two.presence.leave(room, 'a3')
  await eventually(() => two.told.length === 1)
  t.same(two.told, [`${room.id}-a1`], 'leaves as whom others know')
  t.same(await two.presence.read(room), { clients: 0, users: 0, members: [] })
})

t.test('who comes back is listed at every moment of it', async (t) => {
  const [one, two, reader] = [await useNode(t, 'one'), await useNode(t, 'two'), await useNode(t, 'reader')]
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a0' })
  await one.presence.read(room)
  const seen = new Set<number>()
  let over = false
  const look = async () => {
    while (!over) seen.add((await reader.presence.read(room)).clients)
  }
  const looking = look()
  for (let round = 0; round < 200; round++) {
    const [from, to] = round % 2 === 0 ? [one, two] : [two, one]
    from.presence.lose(room, `a${round}`)
    await from.presence.read(room)
    to.presence.join(room, { user: 'anna', client: `a${round + 1}` })
    await to.presence.read(room)
  }
  over = true
  await looking
  t.same([...seen], [1])
})

t.test('who comes back and says goodbye has left, however quickly', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1' })
  one.presence.join(room, { user: 'ben', client: 'b1' })
  await eventually(() => one.told.length === 2)
  one.presence.lose(room, 'a1')
  one.presence.lose(room, 'b1')
  await one.presence.read(room)
  two.presence.join(room, { user: 'anna', client: 'a2' })
  two.presence.leave(room, 'a2')
  one.presence.join(room, { user: 'ben', client: 'b2' })
  one.presence.leave(room, 'b2')
  await two.presence.read(room)
  t.same(await one.presence.read(room), { clients: 0, users: 0, members: [] })
  await eventually(() => two.told.length === 1 && one.told.length === 3)
  t.same(two.told, [`${room.id}-a1`])
  t.same(one.told.slice(2), [`${room.id}-b1`])
  one.later(GRACE_MS)
  await eventually(() => one.presence.places === 0)
  one.presence.join(room, { user: 'cleo', client: 'c1' })
  await eventually(() => one.told.includes(`${room.id}+c1`))
  t.equal(one.told.length + two.told.length, 5, 'and is told of once')
})

t.test('two lost connections of a person wait for two to come back', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  one.presence.join(room, { user: 'anna', client: 'a1' })
  two.presence.join(room, { user: 'anna', client: 'a2' })
  await eventually(() => one.told.length + two.told.length === 2)
  one.presence.lose(room, 'a1')
  two.presence.lose(room, 'a2')
  await clientsOf(one, room)
  await clientsOf(two, room)
  one.presence.join(room, { user: 'anna', client: 'a3' })
  one.presence.join(room, { user: 'anna', client: 'a4' })
  one.presence.join(room, { user: 'anna', client: 'a5' })
  await clientsOf(one, room)
  t.same(await clientsOf(two, room), ['anna/a1', 'anna/a2', 'anna/a5'])
  await eventually(() => one.told.length === 2)
  t.same(one.told, [`${room.id}+a1`, `${room.id}+a5`])
  t.equal((await one.presence.read(room)).users, 1)
})

t.test('a killed node is gone with its lease, and exactly one other tells', async (t) => {
  const survivor = { leaseMs: 6_000 }
  const [one, two] = [await useNode(t, 'one', survivor), await useNode(t, 'two', survivor)]
  const dead = await useNode(t, 'dead', { leaseMs: DEAD_MS })
  const online = createOnline(one.redis)
  const room = nextRoom()
  dead.presence.connected('acme', 'anna')
  dead.presence.join(room, { user: 'anna', client: 'a1' })
  dead.presence.join(room, { user: 'ben', client: 'b1' })
  dead.presence.join(room, { user: 'cleo', client: 'c1' })
  await eventually(() => dead.told.length === 3)
  dead.presence.lose(room, 'c1')
  one.presence.join(room, { user: 'dora', client: 'd1' })
  await eventually(() => one.told.length === 1)
  t.equal((await dead.presence.read(room)).clients, 4)
  t.same([...(await online.online(peopleOf(['anna', 'ben'])))], ['anna'])
  await dead.kill()
  const [lease = ''] = await one.redis.client.keys('pres:{nodes}:lease:dead*')
  t.ok((await one.redis.client.pttl(lease)) <= DEAD_MS, 'nothing renews its lease')
  const holds = async () => (await one.redis.client.exists(lease)) === 1
  await eventually(async () => {
    const before = await holds()
    const { clients } = await two.presence.read(room)
    const { size } = await online.online(peopleOf(['anna']))
    if (await holds()) t.same([clients, size], [4, 1], 'still there while its lease holds')
    if (!before) t.same([clients, size], [1, 0], 'and gone with it')
    return !before
  })
  // who has held its own lease for as long may sweep
  for (const node of [one, two]) node.later(survivor.leaseMs)
  await eventually(() => one.told.concat(two.told).filter((told) => /-[abc]1$/.test(told)).length === 3)
  await eventually(async () => (await one.redis.client.smembers('pres:{nodes}:all')).length === 2)
  t.same(one.told.concat(two.told).sort(), [
    `${room.id}+d1`,
    `${room.id}-a1`,
    `${room.id}-b1`,
    `${room.id}-c1`,
  ])
  const left = await one.redis.client.keys('pres:*dead*')
  t.ok(
    left.every((key) => key.includes(':swept:')),
    'nothing of it is left',
  )
})

t.test('a node that was only taken for dead comes back whole, and says so', async (t) => {
  // one renews every 5 s; until then its lease, once gone, stays gone
  const one = await useNode(t, 'one', { leaseMs: 15_000 })
  const two = await useNode(t, 'two', { leaseMs: 1_200 })
  const room = nextRoom()
  one.presence.connected('acme', 'anna')
  one.presence.join(room, { user: 'anna', client: 'a1' })
  await eventually(() => one.told.length === 1)
  await two.redis.client.del(await two.redis.client.keys('pres:{nodes}:lease:one*'))
  t.same(await clientsOf(two, room), [], 'counts as gone at once')
  await eventually(() => {
    two.later(1_200)
    return two.told.length === 1
  })
  t.same(two.told, [`${room.id}-a1`])
  await eventually(() => one.told.length === 2)
  t.same(one.told, [`${room.id}+a1`, `${room.id}+a1`])
  t.same(await clientsOf(two, room), ['anna/a1'])
  const online = createOnline(two.redis)
  await eventually(async () => (await online.online(peopleOf(['anna']))).size === 1)
})

t.test('a node that stops leaves its lost places to those who come back', async (t) => {
  const leaseMs = 5_000
  const [one, two] = [await useNode(t, 'one', { leaseMs }), await useNode(t, 'two', { leaseMs })]
  const online = createOnline(two.redis)
  const room = nextRoom()
  one.presence.connected('acme', 'anna')
  for (const user of ['anna', 'ben']) one.presence.join(room, { user, client: `${user}-1` })
  await eventually(() => one.told.length === 2)
  for (const user of ['anna', 'ben']) one.presence.lose(room, `${user}-1`)
  await one.presence[Symbol.asyncDispose]()
  t.equal((await online.online(peopleOf(['anna']))).size, 0)
  two.presence.join(room, { user: 'anna', client: 'anna-2' })
  t.same(await clientsOf(two, room), ['anna/anna-1', 'ben/ben-1'])
  two.later(leaseMs)
  await eventually(() => two.told.length === 1)
  t.same(two.told, [`${room.id}-ben-1`])
})

t.test('above 200 places only numbers are told, and numbers are exact', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  for (let index = 0; index < 150; index++)
    one.presence.join(room, { user: `u${index}`, client: `one-${index}` })
  t.equal((await one.presence.read(room)).members?.length, 150)
  await eventually(() => one.told.length === 150)
  for (let index = 0; index < 150; index++)
    two.presence.join(room, { user: `u${index}`, client: `two-${index}` })
  t.same(await two.presence.read(room), { clients: 300, users: 150, members: undefined })
  for (let index = 0; index < 90; index++) one.presence.leave(room, `one-${index}`)
  t.same(await one.presence.read(room), { clients: 210, users: 150, members: undefined })
  for (let index = 0; index < 90; index++) two.presence.leave(room, `two-${index}`)
  t.match(await two.presence.read(room), { clients: 120, users: 60 })
  one.presence.leave(room, 'one-149')
  t.match(await one.presence.read(room), { clients: 119, users: 60 })
  await eventually(() => one.told.length === 151)
  t.same(two.told, [], 'coming down from above is not told either: who listens asks again')
})

t.test('a thousand people are asked for in one go', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const online = createOnline(two.redis)
  const users = Array.from({ length: 2_500 }, (_, index) => `user-${index}`)
  users.forEach((user, index) => {
    if (index % 2 === 0) one.presence.connected('acme', user)
    if (index % 3 === 0) two.presence.connected('acme', user)
  })
  const wanted = users.filter((_, index) => index % 2 === 0 || index % 3 === 0)
  await eventually(async () => (await online.online(peopleOf(users))).size === wanted.length)
  t.same([...(await online.online(peopleOf(users)))], wanted)
  t.equal((await online.online(peopleOf(users, 'other'))).size, 0)
  one.presence.connected('acme', 'user-2')
  one.presence.gone('acme', 'user-2')
  one.presence.gone('acme', 'user-4')
  one.presence.gone('acme', 'user-6')
  await eventually(async () => !(await online.online(peopleOf(users))).has('user-4'))
  const still = await online.online(peopleOf(users))
  t.ok(still.has('user-2'), 'another connection is left')
  t.ok(still.has('user-6'), 'on another node')
  const asked = 1_000
  const some = users.slice(0, asked)
  const startedAt = performance.now()
  for (let round = 0; round < 20; round++) await online.online(peopleOf(some))
  const ms = (performance.now() - startedAt) / 20
  t.comment(`online? of ${asked} people, two nodes: ${ms.toFixed(2)} ms`)
})

t.test('a copy that takes over without the last writes keeps nobody online who has gone', async (t) => {
  const [one, two] = [await useNode(t, 'one', { leaseMs: 1_500 }), await useNode(t, 'two')]
  const online = createOnline(two.redis)
  const there = async () => [...(await online.online(peopleOf(['anna', 'ben', 'cem'])))].sort()
  for (const user of ['anna', 'ben']) one.presence.connected('acme', user)
  await eventually(async () => (await there()).length === 2)
  const admin = await connect('admin')
  t.teardown(() => admin.close())
  const [key = ''] = await admin.client.keys('pres:{nodes}:online:one*')
  one.presence.gone('acme', 'ben')
  one.presence.connected('acme', 'cem')
  await eventually(async () => (await there()).join() === 'anna,cem')
  // what the copy has not heard of yet
  await admin.client.multi().sadd(key, 'acme/ben').srem(key, 'acme/cem').exec()
  await admin.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await eventually(async () => (await there()).join() === 'anna,cem')
})

t.test('everything in Redis ends by itself', async (t) => {
  const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
  const room = nextRoom()
  one.presence.connected('acme', 'anna')
  one.presence.join(room, { user: 'anna', client: 'a1' })
  two.presence.join(room, { user: 'ben', client: 'b1' })
  await two.presence.read(room)
  two.presence.lose(room, 'b1')
  await two.presence.read(room)
  const keys = await eventually(async () => {
    const keys = await one.redis.client.keys(`pres:{*${room.id}}:*`)
    return keys.length === 6 && keys
  })
  for (const key of keys.concat(await one.redis.client.keys('pres:{nodes}:*'))) {
    const ttl = await one.redis.client.pttl(key)
    t.ok(ttl > 0 && ttl <= LEASE_MS * 40, `${key}: ${ttl}`)
  }
})

t.test('a quiet room is kept, and what Redis has thrown out of it comes back', async (t) => {
  const leaseMs = 6_000
  const one = await useNode(t, 'one', { leaseMs })
  const room = nextRoom()
  for (const user of ['anna', 'ben']) one.presence.join(room, { user, client: `${user}-1` })
  t.equal((await one.presence.read(room)).clients, 2)
  const keys = await one.redis.client.keys(`pres:{*${room.id}}:*`)
  for (const key of keys) await one.redis.client.pexpire(key, 10_000)
  one.later(leaseMs * 20)
  await eventually(async () => {
    const ttls = await Promise.all(keys.map((key) => one.redis.client.pttl(key)))
    return ttls.every((ttl) => ttl > 10_000)
  })
  await one.redis.client.del(keys.filter((key) => key.includes(':m:')))
  t.equal((await one.presence.read(room)).clients, 0, 'as under memory pressure')
  one.later(leaseMs * 20)
  await eventually(async () => (await clientsOf(one, room)).join() === 'anna/anna-1,ben/ben-1')
  t.same(one.told, [`${room.id}+anna-1`, `${room.id}+ben-1`], 'and nobody is told')
})

t.test('10,000 who join at once hold up neither this process nor Redis', async (t) => {
  const one = await useNode(t, 'one')
  const crowd = nextRoom()
  await one.presence.read(crowd)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedAt = performance.now()
  for (let index = 0; index < 10_000; index++) {
    // as they come: some with each turn of the loop
    if (index % 100 === 0) await new Promise(setImmediate)
    one.presence.connected('acme', `user-${index}`)
    one.presence.join(crowd, { user: `user-${index}`, client: `client-${index}` })
    one.presence.join(
      { tenant: 'acme', id: `alone-${index % 1_000}` },
      { user: 'anna', client: `c-${index}` },
    )
  }
  t.match(await one.presence.read(crowd), { clients: 10_000, users: 10_000, members: undefined })
  const tookMs = performance.now() - startedAt
  delay.disable()
  t.ok(delay.count > 40, `the loop turned ${delay.count} times meanwhile`)
  t.match(await one.presence.read({ tenant: 'acme', id: 'alone-999' }), { clients: 10, users: 1 })
  t.equal(one.presence.places, 20_000)
  t.comment(
    `20,000 joins and 10,000 connections: written ${(tookMs / 20).toFixed(1)} µs a join, ` +
      `the loop held up at most ${(delay.max / 1e6).toFixed(0)} ms`,
  )
})

t.test('Redis emptied: everybody writes again, and nobody is told anything', async (t) => {
  const leaseMs = 6_000
  const [one, two] = [await useNode(t, 'one', { leaseMs }), await useNode(t, 'two', { leaseMs })]
  const online = createOnline(two.redis)
  const room = nextRoom()
  one.presence.connected('acme', 'anna')
  one.presence.join(room, { user: 'anna', client: 'a1' })
  two.presence.join(room, { user: 'ben', client: 'b1' })
  await eventually(() => one.told.length + two.told.length === 2)
  one.presence.lose(room, 'a1')
  await one.presence.read(room)
  one.presence.join(room, { user: 'anna', client: 'a2' })
  await one.presence.read(room)
  await one.redis.client.flushall()
  t.same(await clientsOf(two, room), [])
  await eventually(async () => (await clientsOf(two, room)).join() === 'anna/a1,ben/b1')
  await eventually(async () => (await online.online(peopleOf(['anna']))).size === 1)
  one.presence.leave(room, 'a2')
  await eventually(() => one.told.length === 2)
  t.same(one.told, [`${room.id}+a1`, `${room.id}-a1`])
  t.same(two.told, [`${room.id}+b1`])
})

t.test(
  'Redis away: nothing throws but the question, and what happened meanwhile is told after',
  async (t) => {
    const [one, two] = [await useNode(t, 'one'), await useNode(t, 'two')]
    const online = createOnline(two.redis)
    const room = nextRoom()
    one.presence.connected('acme', 'anna')
    for (const client of ['a1', 'a2']) one.presence.join(room, { user: 'anna', client })
    two.presence.join(room, { user: 'ben', client: 'b1' })
    await eventually(() => one.told.length + two.told.length === 3)
    await server.kill('SIGKILL')
    await eventually(() => !one.redis.up && !two.redis.up)
    await t.rejects(one.presence.read(room), { code: 'UNAVAILABLE' })
    t.equal((await online.online(peopleOf(['anna']))).size, 0)
    one.presence.join(room, { user: 'cleo', client: 'c1' })
    one.presence.leave(room, 'a2')
    two.presence.lose(room, 'b1')
    two.later(GRACE_MS)
    two.presence.connected('acme', 'ben')
    await server.restart()
    await eventually(async () => (await clientsOf(one, room)).join() === 'anna/a1,cleo/c1')
    await eventually(async () => (await online.online(peopleOf(['anna', 'ben']))).size === 2)
    await eventually(() => one.told.length === 4 && two.told.length === 2)
    t.same(one.told.slice(2).sort(), [`${room.id}+c1`, `${room.id}-a2`])
    t.same(two.told, [`${room.id}+b1`, `${room.id}-b1`])
  },
)
