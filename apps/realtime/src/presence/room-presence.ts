import type { PresenceChanges, PublicationInfo } from '@carillon/contracts'
import type { PresenceRoom } from '@carillon/redis'

export type { PresenceRoom } from '@carillon/redis'

/** Somebody who holds a connection; `userId` is the internal id, the one of subjects and rows. */
export interface PresentUser {
  tenant: string
  userId: string
}

export interface RoomStats {
  /** Connections, those that were lost less than 15 s ago among them. */
  clients: number
  /** Different people. */
  users: number
}

export interface RoomMembers extends RoomStats {
  /** Who is there, in no order; undefined above 200 connections: then there are the numbers alone. */
  members: readonly PublicationInfo[] | undefined
}

/**
 * Who is in which room and who is connected at all, shared by all nodes through Redis. What is told to it never
 * throws and never waits: it is written within a quarter of a second, or when Redis is back.
 *
 * A member whose connection was lost stays for 15 s. Who comes back meanwhile, on any node and with any client id,
 * takes that place silently: nobody is told of a leave or a join, and the place keeps the `client` that others know.
 * So who looks for people compares `user`. What a killed node held is gone when its lease ends.
 *
 * Joins and leaves are hints: at most once, in no order between nodes, a leave perhaps without its join (who came and
 * went at once), none above 200 connections in the room. Who must know asks `members`.
 */
export interface RoomPresence extends AsyncDisposable {
  /** A connection of this user begins. Once per connection, with one `gone` for it. */
  connected(user: PresentUser): void
  /** It ended, however. For the question whether somebody is online there is no grace. */
  gone(user: PresentUser): void
  /** `member.client` is in the room from now on; once per connection and room until `left`. */
  joined(room: PresenceRoom, member: PublicationInfo): void
  /**
   * It left: `orderly` when the client said so (unsubscribe, disconnect), or may no longer be there; not orderly when
   * the connection was lost or this node sends it elsewhere, which leaves 15 s to come back.
   */
  left(room: PresenceRoom, client: string, how: { orderly: boolean }): void
  /** Who is there; whoever was told to this node before is counted. @throws RedisError `UNAVAILABLE` */
  members(room: PresenceRoom): Promise<RoomMembers>
  /** How many are there. @throws RedisError `UNAVAILABLE` */
  stats(room: PresenceRoom): Promise<RoomStats>
  /**
   * Calls back with who comes to the room and who leaves it, at most about four times a second from each node; `left`
   * is to be applied before `joined`. All listeners get the same object, a client's own join among it. One NATS
   * subscription serves all listeners of a room, until the last one stops. `listener` must not throw.
   * @returns the way to stop; idempotent
   */
  watch(room: PresenceRoom, listener: (changes: PresenceChanges) => void): () => void
  /** Places in rooms that connections of this node hold: for a gauge. */
  readonly places: number
  /** Rooms that are listened to: for a gauge. */
  readonly watched: number
}
