const BACKOFF_MIN_MS = 1_000
const BACKOFF_MAX_MS = 60_000
const MAX_TRACKED = 10_000

interface Failing {
  count: number
  since: number
}

/**
 * Messages whose handler throws when they are alone, and how often. Kept in memory: after a crash the count
 * starts again, and the server's own limit of deliveries stands behind it.
 */
export class Failures {
  readonly #maxFailures: number
  readonly #failing = new Map<number, Failing>()
  #lastSuccessAt = 0

  constructor(maxFailures: number) {
    this.#maxFailures = maxFailures
  }

  has(sequence: number): boolean {
    return this.#failing.has(sequence)
  }

  succeeded(now: number): void {
    this.#lastSuccessAt = now
  }

  forget(sequence: number): void {
    if (this.#failing.size > 0) this.#failing.delete(sequence)
  }

  /**
   * Counts one more failure. Says whether the message is now beyond hope: it failed `maxFailures` times while
   * others went well since its first failure, or twice as often in any case; else after how long to try again.
   */
  count(
    sequence: number,
    now: number,
  ): { dead: true; times: number } | { dead: false; retryAfterMs: number } {
    if (this.#failing.size >= MAX_TRACKED) this.#failing.clear()
    const failing = this.#failing.get(sequence) ?? { count: 0, since: now }
    failing.count++
    this.#failing.set(sequence, failing)
    const limit = this.#lastSuccessAt >= failing.since ? this.#maxFailures : this.#maxFailures * 2
    if (failing.count >= limit) {
      this.#failing.delete(sequence)
      return { dead: true, times: failing.count }
    }
    return { dead: false, retryAfterMs: Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (failing.count - 1)) }
  }
}
