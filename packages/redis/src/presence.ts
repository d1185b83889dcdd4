import { randomBytes } from 'node:crypto'
import type { RedisConnection } from './connection.js'
import { RedisError } from './errors.js'
import { type PresenceRoom, roomName, roomOf } from './presence-keys.js'
import { Lease } from './presence-lease.js'
import { Connected } from './presence-online.js'
import type { PlaceChanges, PresenceMember } from './presence-places.js'
import type { Presence, PresenceOptions } from './presence-port.js'
import { type PresenceView, readRoom, shared } from './presence-reading.js'
import { definePresence } from './presence-scripts.js'
import { UntoldChanges } from './presence-untold.js'
import { RoomWriter } from './presence-writer.js'

const MOST_LISTED = 200
const RENEWALS_A_LEASE = 3
/** How soon losses are written. */
const HURRY_MS = 15
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
  /** Connections to Redis until all who are online were last written. */
  #connects: number
  #tick: NodeJS.Timeout | undefined
  #hurry: NodeJS.Timeout | undefined
  #working: Promise<void> = Promise.resolve()
  #renewing: Promise<void> | undefined
  #disposing: Promise<void> | undefined

  constructor(redis: RedisConnection, options: PresenceOptions) {
    const { leaseMs = 15_000, graceMs = 15_000, tickMs = 250, now = () => performance.now() } = options
    const node = `${options.node}.${randomBytes(6).toString('base64url')}`
    const keepMs = leaseMs * KEEP_LEASES
    this.#redis = redis
    this.#connects = redis.connects
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
      // that somebody came must be told before another node can tell that they went
      onLosing: () => this.#untold.tell(),
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
    // who comes back at once must find the place
    this.#hurry ??= setTimeout(() => {
      this.#hurry = undefined
      void this.#quietly(this.#work())
    }, HURRY_MS)
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
    clearTimeout(this.#hurry)
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
      const { connects } = this.#redis
      try {
        await this.#lease.renew()
        this.#away = false
        // a copy that took over may know as online who has gone, for as long as this node lives
        if (connects !== this.#connects) this.#connected.rewrite()
        this.#connects = connects
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
