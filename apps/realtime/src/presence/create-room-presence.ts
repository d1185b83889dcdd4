import type { PresenceChanges, PublicationInfo } from '@carillon/contracts'
import type { Connection } from '@carillon/jetstream'
import { createPresence, type PresenceRoom, type RedisConnection, RedisError } from '@carillon/redis'
import type { PresentUser, RoomMembers, RoomPresence, RoomStats } from './room-presence.js'
import { RoomWatchers } from './room-watchers.js'

export interface RoomPresenceOptions {
  /** Name of this node. */
  node: string
  /** How long what a killed node held still counts. Default 15,000. */
  leaseMs?: number
  /** How long the place of a lost connection waits. Default 15,000. */
  graceMs?: number
  /** How long changes are gathered. Default 250. */
  tickMs?: number
}

export interface RoomPresenceDeps {
  /** Carries joins and leaves between nodes. */
  connection: Connection
  /** Without it presence is unavailable and everybody offline. */
  redis?: RedisConnection
  /** Must not throw. */
  onFailure: (error: unknown) => void
}

/** Begins to keep this node's presence. Closes neither of its connections. */
export function createRoomPresence(options: RoomPresenceOptions, deps: RoomPresenceDeps): RoomPresence {
  const watchers = new RoomWatchers(deps.connection, deps.onFailure)
  return deps.redis === undefined
    ? absentPresence(watchers)
    : sharedPresence(options, { ...deps, redis: deps.redis }, watchers)
}

function sharedPresence(
  options: RoomPresenceOptions,
  { redis, onFailure }: Required<RoomPresenceDeps>,
  watchers: RoomWatchers,
): RoomPresence {
  const onChanges = (room: PresenceRoom, changes: PresenceChanges) => watchers.tell(room, changes)
  const presence = createPresence(redis, { ...options, onChanges, onFailure })
  return {
    connected: ({ tenant, userId }: PresentUser) => presence.connected(tenant, userId),
    gone: ({ tenant, userId }: PresentUser) => presence.gone(tenant, userId),
    joined: (room: PresenceRoom, member: PublicationInfo) => presence.join(room, member),
    left: (room, client, { orderly }) =>
      orderly ? presence.leave(room, client) : presence.lose(room, client),
    members: (room): Promise<RoomMembers> => presence.read(room),
    stats: async (room): Promise<RoomStats> => {
      const { clients, users } = await presence.read(room)
      return { clients, users }
    },
    watch: (room, listener) => watchers.watch(room, listener),
    get places() {
      return presence.places
    },
    get watched() {
      return watchers.size
    },
    async [Symbol.asyncDispose]() {
      await presence[Symbol.asyncDispose]()
      watchers.stop()
    },
  }
}

/** Of a node without Redis: it hears of joins elsewhere, tells of none, and says that it doesn't know who is there. */
function absentPresence(watchers: RoomWatchers): RoomPresence {
  const ignore = (): void => undefined
  const away = async (): Promise<never> => {
    throw new RedisError('UNAVAILABLE', 'This node has no Redis.')
  }
  return {
    connected: ignore,
    gone: ignore,
    joined: ignore,
    left: ignore,
    members: away,
    stats: away,
    watch: (room, listener) => watchers.watch(room, listener),
    places: 0,
    get watched() {
      return watchers.size
    },
    async [Symbol.asyncDispose]() {
      watchers.stop()
    },
  }
}
