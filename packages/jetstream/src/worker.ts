import { bisect } from './bisect.js'
import type { ConsumeHooks, Handle } from './consume.js'
import type { Delivery } from './delivery-buffer.js'
import type { Failures } from './failures.js'
import { type Settler, sortOutcomes } from './settle.js'

export interface WorkerParts {
  handle: Handle
  hooks: ConsumeHooks
  failures: Failures
  settler: Settler
  signal: AbortSignal
  isDraining: () => boolean
}

type Attempt = { ok: true } | { ok: false; error: unknown }

/** Rounds in which a batch that throws keeps its place before it makes room for others. */
const PATIENT_ROUNDS = 4
const FIRST_PAUSE_MS = 100
const PAUSE_MIN_MS = 500
const PAUSE_MAX_MS = 30_000

/** Runs the handler for batches and settles every message exactly once. */
export class Worker {
  readonly counts = { done: 0, retried: 0, dead: 0, failures: 0 }
  readonly #parts: WorkerParts
  readonly #pauses = new Set<() => void>()

  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  /** Ends all pauses between attempts. */
  wake(): void {
    for (const end of this.#pauses) end()
  }

  /** Resolves when every message of the batch is settled; tells whether it went without a throw. */
  async process(batch: readonly Delivery[]): Promise<'well' | 'wrong'> {
    let open = batch
    for (let round = 1; ; round++) {
      const tried = await this.#attempt(open)
      if (tried.ok) return round === 1 ? 'well' : 'wrong'
      let { error } = tried
      const transient = isTransient(error)
      if (round > 1 && !transient && open.length > 1) {
        const result = await bisect(open, (part) => this.#attempt(part))
        await this.#giveUp(result.poison)
        open = result.open
        if (open.length === 0) return 'wrong'
      } else if (round > 1 && !transient) {
        await this.#giveUp([{ delivery: open[0] as Delivery, error }])
        return 'wrong'
      }
      if (this.#parts.isDraining()) {
        for (const delivery of open) this.#parts.settler.retry(delivery, PAUSE_MIN_MS)
        return 'wrong'
      }
      if (!transient && round >= PATIENT_ROUNDS) {
        error = new Error('everything fails', { cause: error })
        await this.#giveUp(open.map((delivery) => ({ delivery, error })))
        return 'wrong'
      }
      await this.#pause(round)
    }
  }

  async #attempt(batch: readonly Delivery[]): Promise<Attempt> {
    const { handle, hooks, failures, settler, signal } = this.#parts
    const startedAt = performance.now()
    try {
      const outcomes = await handle(
        batch.map((delivery) => delivery.received),
        signal,
      )
      if (outcomes.length !== batch.length) {
        throw new Error(`The handler returned ${outcomes.length} outcomes for ${batch.length} messages.`)
      }
      const { done, retried, dead } = sortOutcomes(settler, batch, outcomes)
      failures.succeeded(Date.now())
      for (const { received } of batch) failures.forget(received.sequence)
      await this.#bury(dead)
      this.counts.done += done
      this.counts.retried += retried
      hooks.onBatch?.({ done, retried, dead: dead.length, handleMs: performance.now() - startedAt })
      return { ok: true }
    } catch (error) {
      this.counts.failures++
      hooks.onFailure?.(error, batch.length)
      return { ok: false, error }
    }
  }

  /** Messages that throw alone: later again, or dead when that has been often enough. */
  async #giveUp(poison: readonly { delivery: Delivery; error: unknown }[]): Promise<void> {
    const { failures, settler } = this.#parts
    const dead: { delivery: Delivery; reason: string }[] = []
    for (const { delivery, error } of poison) {
      const verdict = failures.count(delivery.received.sequence, Date.now())
      if (verdict.dead) {
        dead.push({ delivery, reason: `The handler failed ${verdict.times} times: ${messageOf(error)}` })
      } else {
        settler.retry(delivery, verdict.retryAfterMs)
        this.counts.retried++
      }
    }
    await this.#bury(dead)
  }

  async #bury(dead: readonly { delivery: Delivery; reason: string }[]): Promise<void> {
    if (dead.length === 0) return
    this.counts.dead += await this.#parts.settler.bury(dead)
    for (const { delivery, reason } of dead) this.#parts.hooks.onDead?.(delivery.received, reason)
  }

  #pause(round: number): Promise<void> {
    const ceiling = round === 1 ? FIRST_PAUSE_MS : Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (round - 1))
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#pauses.delete(end)
        resolve()
      }
      const timer = setTimeout(end, ceiling / 2 + Math.random() * (ceiling / 2))
      this.#pauses.add(end)
    })
  }
}

/** True for errors that say of themselves that they pass: `{ transient: true }`. */
function isTransient(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'transient' in error && error.transient === true
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
