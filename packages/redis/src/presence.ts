import { randomBytes } from 'node:crypto'
import type { RedisConnection } from './connection.js'
import { RedisError } from './errors.js'
import { type PresenceRoom, roomName, roomOf } from './presence-keys.js'
import { Lease } from './presence-lease.js'
import { Connected } from './presence-online.js'
import type { PlaceChanges, PresenceMember } from './presence-places.js'
import { type PresenceView, readRoom, shared } from './presence-reading.js'
import { definePresence } from './presence-scripts.js'
import { UntoldChanges } from './presence-untold.js'
import { RoomWriter } from './presence-writer.js'

export interface PresenceOptions {
  /** Name of this process; each run of it counts as a node of its own. */
  node: string
  /** How long what a killed node held still counts. Default 15,000; renewed three times as often. */
  leaseMs?: number
  /** How long the place of a lost connection waits for the same person. Default 15,000. */
  graceMs?: number
  /** What happens meanwhile is written and told at once. Default 250. */
  tickMs?: number
  /** Called with who came to a room and who left it, at most once a tick and room. Must not throw. */
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

const MOST_LISTED = 200
const RENEWALS_A_LEASE = 3
/** Everything in Redis ends after so many leases unless it is kept. */
const KEEP_LEASES = 40

class SharedPresence implements Presence {
  readonly #redis: RedisConnection
  readonly #graceMs: number
  readonly #tickMs: number
  readonly #now: () => number
  readonly #onFailure: (error: unknown) => void
  readonly #lease: Lease
  readonly #connected: Connected
  readonly #writer: RoomWriter
  readonly #untold: UntoldChanges
  readonly #reads = new Map<string, () => Promise<PresenceView>>()
  readonly #renewal: NodeJS.Timeout
  #lost: { room: string; client: string; until: number }[] = []
  /** The lease was not renewed since Redis was last seen away. */
  #away = true
  #tick: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()
  #renewing: Promise<void> | undefined
  #disposing: Promise<void> | undefined

  constructor(redis: RedisConnection, options: PresenceOptions) {
    const { leaseMs = 15_000, graceMs = 15_000, tickMs = 250, now = () => performance.now() } = options
    const node = `${options.node}.${randomBytes(6).toString('base64url')}`
    const keepMs = leaseMs * KEEP_LEASES
    this.#redis = redis
    this.#graceMs = graceMs
    this.#tickMs = tickMs
    this.#now = now
    this.#onFailure = options.onFailure
    this.#untold = new UntoldChanges((room, changes) => options.onChanges(roomOf(room), changes))
    this.#connected = new Connected(node, keepMs)
    this.#writer = new RoomWriter(redis, {
      node,
      keepMs,
      now,
      onWritten: (room, changes, total) => {
        const before = total - changes.joined.length + changes.left.length
        if (Math.max(total, before) <= MOST_LISTED) this.#tellLater(room, changes)
      },
    })
    this.#lease = new Lease(
      redis,
      { node, leaseMs, keepMs, mostTold: MOST_LISTED },
      {
        now,
        onLoss: (told) => this.#writeAgain(told),
        onSwept: (room, left) => this.#tellLater(room, { joined: [], left }),
      },
    )
    definePresence(redis.client)
    this.#renewal = setInterval(() => this.#renew(), leaseMs / RENEWALS_A_LEASE)
    this.#wake()
  }

  get places(): number {
    return this.#writer.places
  }

  join(room: PresenceRoom, member: PresenceMember): void {
    this.#writer.change(roomName(room), (places) => places.join(member))
    this.#wake()
  }

  leave(room: PresenceRoom, client: string): void {
    this.#writer.change(roomName(room), (places) => places.leave(client))
    this.#wake()
  }

  lose(room: PresenceRoom, client: string): void {
    const name = roomName(room)
    if (this.#writer.change(name, (places) => places.lose(client)))
      this.#lost.push({ room: name, client, until: this.#now() + this.#graceMs })
    this.#wake()
  }

  connected(tenant: string, user: string): void {
    this.#connected.add(tenant, user)
    this.#wake()
  }

  gone(tenant: string, user: string): void {
    this.#connected.remove(tenant, user)
    this.#wake()
  }

  read(room: PresenceRoom): Promise<PresenceView> {
    const name = roomName(room)
    let read = this.#reads.get(name)
    if (read === undefined) {
      const look = async (): Promise<PresenceView> => {
        await this.#work()
        return readRoom(this.#redis, name, MOST_LISTED)
      }
      read = shared(look, () => this.#reads.delete(name))
      this.#reads.set(name, read)
    }
    return read()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose()
    return this.#disposing
  }

  async #dispose(): Promise<void> {
    clearInterval(this.#renewal)
    clearTimeout(this.#tick)
    await this.#quietly(this.#work())
    this.#untold.tell()
    await this.#quietly(this.#lease.release(this.places))
  }

  /** Has what happened written with the next tick, and looks after lost places while there are any. */
  #wake(): void {
    if (this.#tick !== undefined || this.#disposing !== undefined) return
    this.#tick = setTimeout(async () => {
      this.#expire()
      await this.#quietly(this.#work())
      this.#untold.tell()
      this.#tick = undefined
      const idle = !this.#away && !this.#writer.pending && !this.#connected.pending && this.#untold.size === 0
      if (!idle || this.#lost.length > 0) this.#wake()
    }, this.#tickMs)
  }

  #expire(): void {
    const now = this.#now()
    const waiting = this.#lost.findIndex(({ until }) => until > now)
    const over = waiting === -1 ? this.#lost.splice(0) : this.#lost.splice(0, waiting)
    for (const { room, client } of over) this.#writer.change(room, (places) => places.expire(client))
  }

  #renew(): void {
    this.#writer.keep()
    if (this.#redis.up) void this.#quietly(this.#renewLease())
    this.#wake()
  }

  /** Not in the row of writes: a lease must not end because there is much to write. @throws RedisError */
  #renewLease(): Promise<void> {
    const renew = async (): Promise<void> => {
      try {
        await this.#lease.renew()
        this.#away = false
      } catch (error) {
        this.#away = true
        throw error
      } finally {
        this.#renewing = undefined
      }
    }
    this.#renewing ??= renew()
    return this.#renewing
  }

  /** Writes everything that is to be written, after whatever is under way. @throws RedisError `UNAVAILABLE` */
  #work(): Promise<void> {
    const work = async (): Promise<void> => {
      if (!this.#redis.up) this.#away = true
      // reading finds out by itself
      if (!this.#redis.up) return
      if (this.#away) await this.#renewLease()
      await this.#connected.write(this.#redis)
      await this.#writer.flush()
    }
    const done = this.#working.then(work)
    this.#working = done.catch(() => {
      this.#away = true
    })
    return done
  }

  async #quietly(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof RedisError)) this.#onFailure(error)
    }
  }

  #writeAgain(told: boolean): void {
    this.#connected.rewrite()
    this.#writer.rewrite(told)
  }

  #tellLater(room: string, changes: PlaceChanges): void {
    this.#untold.add(room, changes)
    this.#wake()
  }
}

/** Begins to keep a node's presence. Whoever made it disposes of it; `redis` stays open. */
export function createPresence(redis: RedisConnection, options: PresenceOptions): Presence {
  return new SharedPresence(redis, options)
}
