import type { Holder, Standing } from '../access/standing.js'
import type { Client } from './connections.js'

export interface PatrolDeps {
  /** All connections, in a lasting order; may change while it is walked. */
  clients: () => IterableIterator<Client>
  count: () => number
  standing: Standing
}

/** Everybody is looked at once in about so many seconds. */
const ROUND_SECONDS = 5
const LEAST = 500
const EVERY_MS = 1_000

/** Sends away, within seconds, who may not be connected any more. Costs nothing while nobody is connected. */
export class Patrol {
  readonly #deps: PatrolDeps
  readonly #timer: NodeJS.Timeout
  #walk: IterableIterator<Client> | undefined
  /** How many are still to be looked at on this walk. */
  #left = 0
  #looking = false

  constructor(deps: PatrolDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.#look(), EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#deps.count() === 0) return
    this.#looking = true
    try {
      const clients = this.#next(Math.max(LEAST, Math.ceil(this.#deps.count() / ROUND_SECONDS)))
      const holders = clients.flatMap(({ holder }): Holder[] => (holder === undefined ? [] : [holder]))
      const fallen = await this.#deps.standing.fallen(holders)
      for (const client of clients) {
        if (client.holder !== undefined && fallen.has(client.holder.userId)) client.dismiss()
      }
    } finally {
      this.#looking = false
    }
  }

  /**
   * The next clients on the walk. It ends after as many as there were at its beginning, so that those who keep coming
   * don't keep it from the oldest; then it begins again with the next look.
   */
  #next(count: number): Client[] {
    if (this.#walk === undefined) {
      this.#walk = this.#deps.clients()
      this.#left = this.#deps.count()
    }
    const clients: Client[] = []
    for (; clients.length < count && this.#left > 0; this.#left--) {
      const { value, done } = this.#walk.next()
      if (done === true) this.#left = 0
      else clients.push(value)
    }
    if (this.#left <= 0) this.#walk = undefined
    return clients
  }
}
