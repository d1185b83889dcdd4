import type { Holder } from '../access/standing.js'
import { TokenBucket } from './admission.js'
import type { Flusher } from './output.js'
import type { Member, Wheel } from './wheel.js'

/** Ways to be connected. `sse` is a plain EventSource or the client protocol over one, `poll` a request that waits. */
export const TRANSPORTS = ['sse', 'websocket', 'http_stream', 'poll'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** One open connection, of any transport. */
export interface Client extends Member {
  readonly transport: Transport
  /** Tells the client to come back elsewhere and closes. `spreadMs` is over how long returns should be spread. */
  leave(spreadMs: number): void
  /** Who holds it; undefined until that is known. */
  readonly holder: Holder | undefined
  /** Closes for good: the holder may not be connected any more. */
  dismiss(): void
}

export interface ConnectionLimits {
  perUser: number
  connectsPerSecond: number
  connectBurst: number
}

const DRAIN_BATCH_MIN = 50
const DRAIN_BATCHES = 40
const DRAIN_PAUSE_MS = 150

/** All connections of this node: admission, how many one user has, and leaving in order. */
export class Connections {
  readonly wheel: Wheel
  readonly flusher: Flusher
  readonly #limits: ConnectionLimits
  readonly #bucket: TokenBucket
  readonly #clients = new Map<Client, () => void>()
  readonly #perUser = new Map<string, number>()
  #draining = false
  #emptied: (() => void) | undefined

  constructor(limits: ConnectionLimits, deps: { wheel: Wheel; flusher: Flusher; now: () => number }) {
    this.wheel = deps.wheel
    this.flusher = deps.flusher
    this.#limits = limits
    this.#bucket = new TokenBucket({
      perSecond: limits.connectsPerSecond,
      burst: limits.connectBurst,
      now: deps.now,
    })
  }

  get draining(): boolean {
    return this.#draining
  }

  get size(): number {
    return this.#clients.size
  }

  /** All clients, oldest first. */
  all(): IterableIterator<Client> {
    return this.#clients.keys()
  }

  count(transport: Client['transport']): number {
    let count = 0
    for (const client of this.#clients.keys()) if (client.transport === transport) count++
    return count
  }

  /** Whether one more connection may begin now. */
  admit(): boolean {
    return !this.#draining && this.#bucket.take()
  }

  add(client: Client): void {
    this.#clients.set(client, this.wheel.add(client))
  }

  remove(client: Client): void {
    this.#clients.get(client)?.()
    this.#clients.delete(client)
    if (this.#clients.size === 0) this.#emptied?.()
  }

  /** Counts a connection for its user; false when the user has as many as allowed. */
  claim(user: string): boolean {
    const count = this.#perUser.get(user) ?? 0
    if (count >= this.#limits.perUser) return false
    this.#perUser.set(user, count + 1)
    return true
  }

  release(user: string): void {
    const count = (this.#perUser.get(user) ?? 1) - 1
    if (count <= 0) this.#perUser.delete(user)
    else this.#perUser.set(user, count)
  }

  /** Lets all clients go, in batches, and resolves when the last socket is closed or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true
    const clients = [...this.#clients.keys()]
    const batch = Math.max(DRAIN_BATCH_MIN, Math.ceil(clients.length / DRAIN_BATCHES))
    const spreadMs = Math.min(10_000, clients.length * 2)
    for (let index = 0; index < clients.length; index += batch) {
      for (const client of clients.slice(index, index + batch)) client.leave(spreadMs)
      if (index + batch < clients.length) await new Promise((resolve) => setTimeout(resolve, DRAIN_PAUSE_MS))
    }
    if (this.#clients.size === 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#emptied = resolve
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
  }
}
