import type { Redis } from 'ioredis'
import type { RedisConnection } from './connection.js'
import { leaseKey, NODES_KEY, onlineKey, roomKey, roomsKey } from './presence-keys.js'
import type { PresenceMember } from './presence-places.js'
import { storedMember } from './presence-reading.js'

export interface LeaseOptions {
  node: string
  leaseMs: number
  keepMs: number
  /** A room with more places tells nobody who left. */
  mostTold: number
}

export interface LeaseHooks {
  /** What this node has written is gone from Redis; `told`: others have told that everybody left. */
  onLoss: (told: boolean) => void
  /** A dead node's places in a room were taken out by this node. */
  onSwept: (room: string, left: PresenceMember[]) => void
  /** Milliseconds that never go back. */
  now: () => number
}

const ROOMS_AT_ONCE = 100

/**
 * The lease of one node, by the clock of Redis, and the end of those whose lease is over. Who has not held its own for
 * a whole lease sweeps nobody: after Redis was away, others get as long to come back.
 */
export class Lease {
  readonly #redis: RedisConnection
  readonly #options: LeaseOptions
  readonly #hooks: LeaseHooks
  #heldSince: number | undefined

  constructor(redis: RedisConnection, options: LeaseOptions, hooks: LeaseHooks) {
    this.#redis = redis
    this.#options = options
    this.#hooks = hooks
  }

  /** Takes or renews it, and sweeps. @throws RedisError `UNAVAILABLE` */
  async renew(): Promise<void> {
    const { node, leaseMs, keepMs } = this.#options
    const { now, onLoss } = this.#hooks
    const [held, swept, dead] = await this.#redis.run((client) =>
      client.presRenew(NODES_KEY, node, leaseMs, keepMs),
    )
    if (held === 0) {
      const before = this.#heldSince
      this.#heldSince = now()
      if (before !== undefined || swept === 1) onLoss(swept === 1)
    } else if (swept === 1) {
      onLoss(true)
    }
    if (now() - (this.#heldSince ?? now()) < leaseMs) return
    for (const one of dead) await this.#sweep(one)
  }

  /** The last word of a node that stops: what it still has stays for one lease. Nobody is online here any more. */
  async release(places: number): Promise<void> {
    const { node, leaseMs } = this.#options
    await this.#redis.run((client) => {
      const pipeline = client.pipeline().del(onlineKey(node))
      if (places > 0) pipeline.pexpire(leaseKey(node), leaseMs)
      else pipeline.del(leaseKey(node), roomsKey(node)).srem(`${NODES_KEY}:all`, node)
      return pipeline.exec()
    })
  }

  async #sweep(dead: string): Promise<void> {
    const { keepMs, mostTold } = this.#options
    const rooms = await this.#redis.run((client) => client.presBury(NODES_KEY, dead, keepMs))
    for (let at = 0; at < rooms.length; at += ROOMS_AT_ONCE) {
      const some = rooms.slice(at, at + ROOMS_AT_ONCE)
      const swept = await this.#redis.run((client) => sweepRooms(client, some, dead, mostTold))
      swept.forEach(([count, rest, rows], index) => {
        if (count > 0 && count + rest <= mostTold)
          this.#hooks.onSwept(some[index] as string, rows.map(storedMember))
      })
    }
    await this.#redis.run((client) => client.presForget(NODES_KEY, dead))
  }
}

/** The script empties a room at once, so that of several nodes one gets the rows. */
function sweepRooms(client: Redis, rooms: readonly string[], dead: string, mostTold: number) {
  return Promise.all(rooms.map((room) => client.presSweep(roomKey(room), dead, mostTold)))
}
