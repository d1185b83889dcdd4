import type { RedisConnection } from './connection.js'
import { NODES_KEY, onlineKey, onlineName } from './presence-keys.js'
import { definePresence } from './presence-scripts.js'

const NAMES_A_CALL = 1_000

/** Somebody who may hold a connection. */
export interface Connectable {
  tenant: string
  /** Internal id, as `connected` was told. */
  id: string
}

/** Who of many people holds a connection at this moment. */
export interface Online {
  /**
   * Ids of those who are connected to a living node; one round trip for any number. No id is that of two tenants'
   * people. Never throws: while Redis is away nobody is known to be online.
   */
  online(people: readonly Connectable[]): Promise<Set<string>>
}

/** Reads what nodes write with `createPresence`; any process may ask. */
export function createOnline(redis: RedisConnection): Online {
  definePresence(redis.client)
  return { online: (people) => readOnline(redis, people) }
}

async function readOnline(redis: RedisConnection, people: readonly Connectable[]): Promise<Set<string>> {
  const chunks: string[][] = []
  for (let at = 0; at < people.length; at += NAMES_A_CALL)
    chunks.push(people.slice(at, at + NAMES_A_CALL).map(({ tenant, id }) => onlineName(tenant, id)))
  if (chunks.length === 0) return new Set()
  try {
    const digits = await redis.run((client) =>
      Promise.all(chunks.map((names) => client.presOnline(NODES_KEY, ...names))),
    )
    const all = digits.join('')
    return new Set(people.flatMap(({ id }, index) => (all[index] === '1' ? [id] : [])))
  } catch {
    // Redis is away: `run` throws nothing else. Told twice is better than not at all.
    return new Set()
  }
}

/** Connections of one node, counted by person, and what of them Redis doesn't know yet. */
export class Connected {
  readonly #key: string
  readonly #keepMs: number
  readonly #counts = new Map<string, number>()
  #changed = new Set<string>()
  /** Redis may hold others than these. */
  #doubted = false

  constructor(node: string, keepMs: number) {
    this.#key = onlineKey(node)
    this.#keepMs = keepMs
  }

  get pending(): boolean {
    return this.#doubted || this.#changed.size > 0
  }

  add(tenant: string, user: string): void {
    const name = onlineName(tenant, user)
    const count = this.#counts.get(name) ?? 0
    this.#counts.set(name, count + 1)
    if (count === 0) this.#changed.add(name)
  }

  remove(tenant: string, user: string): void {
    const name = onlineName(tenant, user)
    const count = this.#counts.get(name)
    if (count === undefined) return
    if (count > 1) {
      this.#counts.set(name, count - 1)
      return
    }
    this.#counts.delete(name)
    this.#changed.add(name)
  }

  /** Redis has lost it, or has forgotten changes of it: all of it is written again, and nothing else stays. */
  rewrite(): void {
    this.#doubted = true
    for (const name of this.#counts.keys()) this.#changed.add(name)
  }

  /** Writes what has changed, `NAMES_A_CALL` at a time. @throws RedisError `UNAVAILABLE` */
  async write(redis: RedisConnection): Promise<void> {
    while (this.pending) {
      const doubted = this.#doubted
      const some = [...this.#changed].slice(0, NAMES_A_CALL)
      this.#doubted = false
      for (const name of some) this.#changed.delete(name)
      const here = some.filter((name) => this.#counts.has(name))
      const gone = some.filter((name) => !this.#counts.has(name))
      try {
        await redis.run((client) => {
          const pipeline = client.pipeline()
          if (doubted) pipeline.del(this.#key)
          if (here.length > 0) pipeline.sadd(this.#key, ...here).pexpire(this.#key, this.#keepMs)
          if (gone.length > 0) pipeline.srem(this.#key, ...gone)
          return allOf(pipeline.exec())
        })
      } catch (error) {
        this.#doubted ||= doubted
        for (const name of some) this.#changed.add(name)
        throw error
      }
    }
  }
}

/** Results of a pipeline; the first failure of one of its commands is that of all. */
export async function allOf(executed: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
  const results: unknown[] = []
  for (const [error, result] of (await executed) ?? []) {
    if (error !== null) throw error
    results.push(result)
  }
  return results
}
