import { openConnection } from '@carillon/jetstream'
import { eventually, type TestScope, useNats, useRedis } from '@carillon/testkit'
import { Centrifuge } from 'centrifuge'
import t from 'tap'
import WebSocket from 'ws'
import { useForwarder } from './forwarder.js'
import { answerRules, applyLive, type RealtimeNode, signToken, useNode } from './mesh.js'

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
  })
  const moves: string[] = []
  const room = client.newSubscription(ROOM, { joinLeave: true })
  room.on('join', ({ info }) => moves.push(`+${info.user}`))
  room.on('leave', ({ info }) => moves.push(`-${info.user}`))
  room.subscribe()
  client.connect()
  t.teardown(() => client.disconnect())
  await room.ready(5_000)
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
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  t.teardown(() => connection.close())
  await applyLive(connection)
  answerRules(t, connection, [])
  const nodes: RealtimeNode[] = []
  for (let index = 0; index < 3; index++) nodes.push(await useNode(t, nats.url, {}, redis.url))
  const [first, second, third] = nodes as [RealtimeNode, RealtimeNode, RealtimeNode]
  const watcher = await useVisitor(t, third.url, 'watcher')
  await eventually(() => watcher.moves.includes('+watcher'))
  const before = watcher.moves.length
  const road = await useForwarder(t, first.url)
  const anna = await useVisitor(t, road.url, 'anna')
  await eventually(() => watcher.moves.length === before + 1)

  const comesBack = async (interrupt: () => unknown): Promise<void> => {
    const lost = new Promise((resolve) => anna.room.once('subscribing', resolve))
    interrupt()
    await lost
    await anna.room.ready(10_000)
    t.same(await listed(watcher), ['anna', 'watcher'])
  }

  await t.test('the network goes, and is back with another node', async () => {
    road.target = second.url
    await comesBack(() => road.cut())
  })
  await t.test('a node is drained', async () => {
    road.target = first.url
    await comesBack(() => second.stop())
  })
  await t.test('and whoever says goodbye has left at once', async (t) => {
    anna.client.disconnect()
    await eventually(() => watcher.moves.at(-1) === '-anna')
    t.same(watcher.moves.slice(before), ['+anna', '-anna'], 'nothing else was ever told')
    t.same(await listed(watcher), ['watcher'])
  })
})
