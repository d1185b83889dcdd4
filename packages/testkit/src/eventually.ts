/** The condition did not come true in time; `cause` is what the last look threw, if it threw. */
export class NeverHappened extends Error {
  readonly code = 'NEVER_HAPPENED'

  constructor(timeoutMs: number, last: unknown) {
    const detail =
      last instanceof Error ? last.message : `the last look gave ${JSON.stringify(last) ?? String(last)}`
    super(`did not happen in ${timeoutMs} ms: ${detail}`, last instanceof Error ? { cause: last } : undefined)
    this.name = 'NeverHappened'
  }
}

export interface EventuallyOptions {
  /** 40 s unless told: what was lost on its way comes again after 30 s at most. */
  readonly timeoutMs?: number
  /** 20 ms unless told. */
  readonly everyMs?: number
}

/**
 * Looks again and again until `look` gives something truthy, and returns that; what it throws counts as "not yet".
 * Throws NeverHappened.
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const { timeoutMs = 40_000, everyMs = 20 } = options
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    let last: unknown
    try {
      const seen = await look()
      if (isThere(seen)) return seen
      last = seen
    } catch (error) {
      last = error
    }
    if (performance.now() > giveUpAt) throw new NeverHappened(timeoutMs, last)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

function isThere<T>(value: T): value is Exclude<T, false | null | undefined | 0 | ''> {
  return Boolean(value)
}
