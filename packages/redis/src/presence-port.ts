import type { PresenceRoom } from './presence-keys.js'
import type { PlaceChanges, PresenceMember } from './presence-places.js'
import type { PresenceView } from './presence-reading.js'

export interface PresenceOptions {
  /** Name of this process; each run of it counts as a node of its own. */
  node: string
  /** How long what a killed node held still counts. Default 15,000; renewed three times as often. */
  leaseMs?: number
  /** How long the place of a lost connection waits for the same person. Default 15,000. */
  graceMs?: number
  /** What happens meanwhile is written and told at once. Default 250. */
  tickMs?: number
  /** Called with who came to a room and who left it, once a tick and room, and sooner when connections are lost. Must not throw. */
  onChanges: (room: PresenceRoom, changes: PlaceChanges) => void
  /** Called when something other than an absent Redis failed. Must not throw. */
  onFailure: (error: unknown) => void
  /** Milliseconds that never go back, for the grace alone: leases are by the clock of Redis. */
  now?: () => number
}

/**
 * What one node knows of who is in which room and who is connected at all, shared with all others through Redis, which
 * may lose it: every node then writes its own again, within a third of a lease. The methods that return nothing never
 * throw and never wait. Tenants and rooms are tokens of subjects; no client holds a line break or a tab.
 *
 * Of a place whose connection is lost nobody is told until `graceMs` is over. If the same person joins meanwhile, on
 * any node, that takes over the place silently and is shown as the client that others know. Of the places of a killed
 * node exactly one other node tells, after the lease. What is told may be lost, never repeated, and nothing is told
 * of a room that has more than 200 places.
 */
export interface Presence extends AsyncDisposable {
  /** Places that connections of this node have, lost ones among them. */
  readonly places: number
  /** Once per client and room, until `leave` or `lose`. */
  join(room: PresenceRoom, member: PresenceMember): void
  leave(room: PresenceRoom, client: string): void
  lose(room: PresenceRoom, client: string): void
  /** A connection begins; `user` is what `online` is asked for. */
  connected(tenant: string, user: string): void
  /** It ended; no grace here. */
  gone(tenant: string, user: string): void
  /** Who is in a room, at most 200 by name; what was told here before is counted. @throws RedisError `UNAVAILABLE` */
  read(room: PresenceRoom): Promise<PresenceView>
}
