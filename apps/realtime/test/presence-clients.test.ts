import { openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import { eventually, type TestScope, useNats, useRedis } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import { answerRules, applyLive, PATIENT_MS, type RealtimeNode, signToken, useNode } from './mesh.js'

const ROOM = 'room:ride-9'

interface Person {
  client: Centrifuge
  room: ReturnType<Centrifuge['newSubscription']>
  /** Who came and left, as `+user` and `-user`. */
  moves: string[]
}

/** Somebody in the room, with the official client. */
async function useVisitor(t: TestScope, url: string, user: string): Promise<Person> {
  const client = new Centrifuge(`${url.replace('http', 'ws')}/v1/connection/websocket`, {
    websocket: WebSocket,
    token: await signToken({ user, rooms: ['ride-9'] }),
    minReconnectDelay: 20,
    maxReconnectDelay: 100,
    timeout: PATIENT_MS,
  })
  const moves: string[] = []
  const room = client.newSubscription(ROOM, { joinLeave: true })
  room.on('join', ({ info }) => moves.push(`+${info.user}`))
  room.on('leave', ({ info }) => moves.push(`-${info.user}`))
  room.subscribe()
  client.connect()
  t.teardown(() => client.disconnect())
  await room.ready(PATIENT_MS)
  return { client, room, moves }
}

async function listed({ room }: Person): Promise<string[]> {
  const { clients } = await room.presence()
  return Object.values(clients)
    .map(({ user }) => user)
    .sort()
}

t.test('neither a lost connection nor a node that is released makes anybody leave', async (t) => {
  const [nats, redis] = [await useNats(t), await useRedis(t)]
  const told = await openRedis({ url: redis.url, commandTimeoutMs: 10_000 })
  t.teardown(() => told.close())
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  t.teardown(() => connection.close())
  await applyLive(connection)
  await answerRules(t, connection, [])
  const nodes: RealtimeNode[] = []
  for (let index = 0; index < 3; index++) nodes.push(await useNode(t, nats.url, {}, redis.url))
  const [first, second, third] = nodes as [RealtimeNode, RealtimeNode, RealtimeNode]
  const watcher = await useVisitor(t, third.url, 'watcher')
  await eventually(() => watcher.moves.includes('+watcher'))
  const before = watcher.moves.length
  const road = await useForwarder(t, first.url)
  const anna = await useVisitor(t, road.url, 'anna')
  await eventually(() => watcher.moves.length === before + 1)

  /** Who comes back before a node has told that they were lost is somebody else for others: the road is closed so long. */
  const comesBack = async (interrupt: () => Promise<unknown>, to: RealtimeNode): Promise<void> => {
    const lost = new Promise((resolve) => anna.room.once('subscribing', resolve))
    road.target = 'http://127.0.0.1:1'
    await interrupt()
    road.target = to.url
    await lost
    await anna.room.ready(PATIENT_MS)
    t.same(await listed(watcher), ['anna', 'watcher'])
  }

  await t.test('the network goes, and is back with another node', async () => {
    await comesBack(async () => {
      road.cut()
      await eventually(() => told.run((client) => client.hexists('pres:{acme/ride-9}:g', 'anna')))
    }, second)
  })
  await t.test('a node is drained', async () => {
    await comesBack(() => second.stop(), first)
  })
  await t.test('and whoever says goodbye has left at once', async (t) => {
    anna.client.disconnect()
    await eventually(() => watcher.moves.at(-1) === '-anna')
    t.same(watcher.moves.slice(before), ['+anna', '-anna'], 'nothing else was ever told')
    t.same(await listed(watcher), ['watcher'])
  })
})
