import { openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import { eventually, useNats, useRedis } from '@carillon/testkit'
import fc from 'fast-check'
import t from 'tap'
import { listed, type Observer, observe, type PresenceNode, usePresence } from './presence-nodes.js'

const nats = await useNats(t)
const server = await useRedis(t)
const engines = { natsUrl: nats.url, redisUrl: server.url }
const redis = await openRedis({ url: server.url, commandTimeoutMs: 10_000 })
t.teardown(() => redis.close())
// of two connections nobody says whose message comes first
const connection = await openConnection({ servers: nats.url, name: 'both' })
t.teardown(() => connection.close())

type Nodes = readonly [PresenceNode, PresenceNode]

async function useNodes(leaseMs: number): Promise<Nodes> {
  const options = { graceMs: 60, leaseMs, connection }
  return [await usePresence(t, engines, 'one', options), await usePresence(t, engines, 'two', options)]
}

const USERS = ['anna', 'ben', 'cleo'] as const
const happening = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('join' as const), user: fc.constantFrom(...USERS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), pick: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('lose' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('write' as const) }) },
)
const emptied = fc.record({ do: fc.constant('empty' as const) })
type Happening =
  | { do: 'join'; user: string }
  | { do: 'leave' | 'lose'; pick: number }
  | { do: 'write' }
  | { do: 'empty' }
type Script = [Happening, number][]
const scriptOf = (one: fc.Arbitrary<Happening>): fc.Arbitrary<Script> =>
  fc.array(fc.tuple(one, fc.nat({ max: 1 })), { minLength: 1, maxLength: 30 })

let rooms = 0

/** Plays a script in a room of its own, and waits until `settled` of who is listed and who should be. */
async function play(
  nodes: Nodes,
  script: Script,
  settled: (listed: string[], users: string[], seen: Observer) => boolean,
): Promise<Observer> {
  const room = { tenant: 'acme', id: `ride-${++rooms}` }
  const seen = observe(nodes[0], room)
  await nodes[0].flush()
  const held: { client: string; user: string; node: PresenceNode }[] = []
  let clients = 0
  for (const [what, at] of script) {
    const node = nodes[at] as PresenceNode
    if (what.do === 'write') await node.members(room)
    else if (what.do === 'empty') await redis.run((client) => client.flushall())
    else if (what.do === 'join') {
      const client = `${what.user}-${++clients}`
      held.push({ client, user: what.user, node })
      node.joined(room, { user: what.user, client })
    } else {
      const [place] = held.splice(what.pick % Math.max(1, held.length), 1)
      place?.node.left(room, place.client, { orderly: what.do === 'leave' })
    }
  }
  const users = held.map(({ user }) => user).sort()
  await eventually(async () => settled(await listed(nodes[1], room), users, seen))
  seen.stop()
  for (const { client, node } of held) node.left(room, client, { orderly: true })
  return seen
}

const usersOf = (lines: readonly string[]): string =>
  lines
    .map((line) => line.split(' ')[1])
    .sort()
    .join()

t.test('whoever listens ends with what whoever asks is told, whatever happened', async (t) => {
  const nodes = await useNodes(15_000)
  const property = fc.asyncProperty(scriptOf(happening), async (script) => {
    const seen = await play(nodes, script, (lines, users, { there }) => {
      const heard = [...there].map(([client, user]) => `${client} ${user}`).sort()
      return usersOf(lines) === users.join() && lines.join() === heard.join()
    })
    const joins = seen.heard.flat().filter((told) => told.startsWith('+'))
    return new Set(joins).size === joins.length
  })
  await fc.assert(property, { numRuns: 40, endOnFailure: true })
  t.pass('in 40 random stories')
})

t.test('whoever asks is told who is there, however often Redis is emptied', async (t) => {
  // who renews its lease finds out
  const nodes = await useNodes(1_200)
  const property = fc.asyncProperty(
    scriptOf(fc.oneof({ weight: 9, arbitrary: happening }, { weight: 1, arbitrary: emptied })),
    async (script) => {
      await play(nodes, script, (lines, users) => usersOf(lines) === users.join())
    },
  )
  await fc.assert(property, { numRuns: 25, endOnFailure: true })
  t.pass('in 25 random stories')
})
