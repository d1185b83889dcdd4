import type { PresenceChanges } from '@carillon/contracts'
import { type Connection, openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import type { TestScope } from '@carillon/testkit'
import { createRoomPresence } from '../src/presence/create-room-presence.js'
import type { PresenceRoom, RoomPresence } from '../src/presence/room-presence.js'

/** Where nodes of a test meet. */
export interface Engines {
  natsUrl: string
  redisUrl: string
}

/** One node. After `flush` it hears what others tell. */
export type PresenceNode = RoomPresence & { flush(): Promise<void> }

export interface PresenceNodeOptions {
  redis?: false
  graceMs?: number
  /** 15 s unless told: nobody is taken for dead who only stood still. */
  leaseMs?: number
  /** Carries what nodes tell each other; one of its own unless told. */
  connection?: Connection
}

/** The presence of one node, with connections of its own. */
export async function usePresence(
  t: TestScope,
  engines: Engines,
  node: string,
  options: PresenceNodeOptions = {},
): Promise<PresenceNode> {
  const connection = options.connection ?? (await openConnection({ servers: engines.natsUrl, name: node }))
  const redis = await openRedis({ url: engines.redisUrl, name: node, commandTimeoutMs: 10_000 })
  const presence = createRoomPresence(
    { node, leaseMs: options.leaseMs ?? 15_000, graceMs: options.graceMs ?? 500, tickMs: 20 },
    {
      connection,
      ...(options.redis !== false && { redis }),
      onFailure: (error) => {
        throw error
      },
    },
  )
  t.teardown(async () => {
    await presence[Symbol.asyncDispose]()
    await redis.close()
    if (options.connection === undefined) await connection.close()
  })
  return Object.assign(presence, { flush: () => connection.flush() })
}

export interface Observer {
  /** Each message, as `-left` and `+joined` clients. */
  heard: string[][]
  /** Who is there, for all that it heard. */
  there: Map<string, string>
  stop: () => void
}

export function observe(presence: RoomPresence, room: PresenceRoom): Observer {
  const observer: Observer = { heard: [], there: new Map(), stop: () => undefined }
  observer.stop = presence.watch(room, ({ left, joined }: PresenceChanges) => {
    observer.heard.push([
      ...left.map(({ client }) => `-${client}`),
      ...joined.map(({ client }) => `+${client}`),
    ])
    for (const { client } of left) observer.there.delete(client)
    for (const { client, user } of joined) observer.there.set(client, user)
  })
  return observer
}

/** Who is in a room, as `client user`. */
export async function listed(presence: RoomPresence, room: PresenceRoom): Promise<string[]> {
  const { members = [] } = await presence.members(room)
  return members.map(({ user, client }) => `${client} ${user}`).sort()
}
