import { fileURLToPath } from 'node:url'
import { userId } from '@carillon/contracts'
import { type Connection, openConnection } from '@carillon/jetstream'
import { createOnline, openRedis } from '@carillon/redis'
import { sha256 } from '@carillon/service'
import { eventually, type TestScope, useNats, useNodeProcess, useRedis } from '@carillon/testkit'
import t from 'tap'
import type { PresenceRoom } from '../src/presence/room-presence.js'
import { applyLive, signToken, useNode } from './mesh.js'
import { listed, observe, usePresence } from './presence-nodes.js'
import { openSse } from './sse-client.js'

/** Of nodes one of which is killed: a living one may stand still for two thirds of it. */
const LEASE_MS = 6_000

const nats = await useNats(t)
const redisServer = await useRedis(t)
const engines = { natsUrl: nats.url, redisUrl: redisServer.url }

let rooms = 0
const nextRoom = (): PresenceRoom => ({ tenant: 'acme', id: `ride-${++rooms}` })

async function useConnection(t: TestScope): Promise<Connection> {
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  t.teardown(() => connection.close())
  return connection
}

const peopleOf = (ids: readonly string[]) => ids.map((id) => ({ tenant: 'acme', id }))

t.test('who comes and goes on one node is heard on all, in few messages', async (t) => {
  const [one, two] = [await usePresence(t, engines, 'one'), await usePresence(t, engines, 'two')]
  const room = nextRoom()
  const [here, there] = [observe(one, room), observe(two, room)]
  const second = observe(two, room)
  t.equal(two.watched, 1, 'one subscription for all listeners')
  // a listener must be known to the server before somebody else tells
  await Promise.all([one.flush(), two.flush()])
  for (let index = 0; index < 50; index++) one.joined(room, { user: `u${index}`, client: `c${index}` })
  two.joined(room, { user: 'ben', client: 'b1', info: { car: 'red' } })
  await eventually(() => here.there.size === 51 && there.there.size === 51)
  t.equal(there.heard.length, 2, 'a message from each node for 51 joins')
  t.match(await two.members(room), { clients: 51, users: 51 })
  t.match(await two.stats(room), { clients: 51, users: 51 })
  second.stop()
  second.stop()
  const heard = second.heard.length
  for (let index = 0; index < 50; index++) one.left(room, `c${index}`, { orderly: true })
  await eventually(() => here.there.size === 1 && there.there.size === 1)
  t.equal(second.heard.length, heard, 'who stopped hears no more')
  there.stop()
  t.equal(two.watched, 0)
  t.same(await listed(one, room), ['b1 ben'])
})

t.test('who comes back to another node within the grace was never away', async (t) => {
  const [one, two] = [
    await usePresence(t, engines, 'one'),
    await usePresence(t, engines, 'two', { graceMs: 60_000 }),
  ]
  const room = nextRoom()
  const seen = observe(one, room)
  await one.flush()
  one.joined(room, { user: 'anna', client: 'a1' })
  two.joined(room, { user: 'ben', client: 'b1' })
  await eventually(() => seen.there.size === 2)
  two.left(room, 'b1', { orderly: false })
  await two.members(room)
  one.joined(room, { user: 'ben', client: 'b2' })
  one.left(room, 'a1', { orderly: false })
  await eventually(() => seen.there.size === 1)
  t.same([...seen.there], [['b1', 'ben']], 'anna stayed away longer than the grace')
  t.same(await listed(two, room), ['b1 ben'])
  one.left(room, 'b2', { orderly: true })
  await eventually(() => seen.there.size === 0)
  t.equal(seen.heard.flat().length, 4)
})

t.test('what a killed process held is gone with its lease, and is told once', async (t) => {
  const leases = { leaseMs: LEASE_MS }
  const [one, two] = [
    await usePresence(t, engines, 'one', leases),
    await usePresence(t, engines, 'two', leases),
  ]
  const room = nextRoom()
  const [seen, again] = [observe(one, room), observe(two, room)]
  await Promise.all([one.flush(), two.flush()])
  one.joined(room, { user: 'dora', client: 'd1' })
  await one.members(room)
  const victim = await useNodeProcess(t, {
    script: fileURLToPath(new URL('./presence-node.js', import.meta.url)),
    args: [nats.url, redisServer.url, String(LEASE_MS), room.id, 'anna', 'ben', 'cleo'],
    ready: /^ready$/,
  })
  await eventually(() => seen.there.size === 4 && again.there.size === 4)
  t.equal((await two.stats(room)).clients, 4)
  const redis = await openRedis({ url: redisServer.url, commandTimeoutMs: 10_000 })
  t.teardown(() => redis.close())
  const online = createOnline(redis)
  t.equal((await online.online(peopleOf(['anna', 'ben', 'cleo', 'dora']))).size, 3)
  const [lease = ''] = await redis.run((client) => client.keys('pres:{nodes}:lease:victim.*'))
  t.ok(lease)
  const leaseLeft = (key: string) => redis.run((client) => client.pttl(key))
  await victim.kill('SIGKILL')
  t.ok((await leaseLeft(lease)) <= LEASE_MS, 'it ends by the clock of Redis, whoever else is late')
  await eventually(async () => (await leaseLeft(lease)) < 0)
  t.same(await listed(two, room), ['d1 dora'], 'gone from lists with the lease')
  await eventually(() => seen.there.size === 1 && again.there.size === 1)
  t.same(
    seen.heard
      .flat()
      .filter((told) => told.startsWith('-'))
      .sort(),
    ['-anna-victim', '-ben-victim', '-cleo-victim'],
  )
  t.equal((await online.online(peopleOf(['anna', 'ben', 'cleo']))).size, 0)
})

t.test('whoever is connected is online, whatever the way, and no longer than that', async (t) => {
  await applyLive(await useConnection(t))
  const node = await useNode(t, nats.url, {}, redisServer.url)
  const redis = await openRedis({ url: redisServer.url, commandTimeoutMs: 10_000 })
  t.teardown(() => redis.close())
  const { online } = createOnline(redis)
  const idOf = (user: string) => userId(sha256, 'acme', user)
  const isOnline = async (user: string) => (await online(peopleOf([idOf(user)]))).size === 1
  const stream = await openSse(t, node.url, { token: await signToken({ user: 'streaming' }) })
  t.equal(stream.status, 200)
  await eventually(() => isOnline('streaming'))
  const stop = new AbortController()
  const headers = { authorization: `Bearer ${await signToken({ user: 'polling' })}` }
  const begun = await fetch(`${node.url}/v1/poll?channel=user`, { headers })
  const { last_event_id: id } = (await begun.json()) as { last_event_id: string }
  const poll = fetch(`${node.url}/v1/poll?channel=user&wait=25&last_event_id=${id}`, {
    headers,
    signal: stop.signal,
  })
  await eventually(() => isOnline('polling'))
  t.notOk(await isOnline('ada'))
  stream.cut()
  stop.abort()
  await t.rejects(poll, { name: 'AbortError' })
  await eventually(async () => !(await isOnline('streaming')) && !(await isOnline('polling')))
})

t.test('without Redis everybody is welcome and nobody known', async (t) => {
  const [none, one] = [
    await usePresence(t, engines, 'none', { redis: false }),
    await usePresence(t, engines, 'one'),
  ]
  const room = nextRoom()
  none.connected({ tenant: 'acme', userId: 'anna' })
  none.joined(room, { user: 'anna', client: 'a1' })
  await t.rejects(none.members(room), { name: 'RedisError', code: 'UNAVAILABLE' })
  await t.rejects(none.stats(room), { code: 'UNAVAILABLE' })
  const seen = observe(none, room)
  await eventually(async () => {
    one.joined(room, { user: 'ben', client: 'b1' })
    await one.members(room)
    one.left(room, 'b1', { orderly: true })
    return seen.heard.length > 0
  })
  none.left(room, 'a1', { orderly: true })
  none.gone({ tenant: 'acme', userId: 'anna' })
})
