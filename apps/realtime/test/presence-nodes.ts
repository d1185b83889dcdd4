import type { PresenceChanges } from '@carillon/contracts'
import { openConnection } from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import type { TestScope } from '@carillon/testkit'
import { createRoomPresence } from '../src/presence/create-room-presence.js'
import type { PresenceRoom, RoomPresence } from '../src/presence/room-presence.js'

export const LEASE_MS = 1_200

/** Where nodes of a test meet. */
export interface Engines {
  natsUrl: string
  redisUrl: string
}

/** One node. After `flush` it hears what others tell. */
export type PresenceNode = RoomPresence & { flush(): Promise<void> }

/** The presence of one node, with connections of its own. */
export async function usePresence(
  t: TestScope,
  engines: Engines,
  node: string,
  options: { redis?: false; graceMs?: number } = {},
): Promise<PresenceNode> {
  const connection = await openConnection({ servers: engines.natsUrl, name: node })
  const redis = await openRedis({ url: engines.redisUrl, name: node, commandTimeoutMs: 10_000 })
  const presence = createRoomPresence(
    { node, leaseMs: LEASE_MS, graceMs: options.graceMs ?? 500, tickMs: 20 },
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
    await connection.close()
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
