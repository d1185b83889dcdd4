/** How a call is repeated: full jitter between 0 and `baseMs · 2ⁿ`, at most `maxMs`. */
export interface RetryPolicy {
  attempts: number
  baseMs: number
  maxMs: number
}

export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, baseMs: 200, maxMs: 5_000 }

/** Runs `attempt` until it resolves, `isTransient` says no, or the attempts are used up. */
export async function withRetry<T>(
  attempt: () => Promise<T>,
  isTransient: (error: unknown) => { afterMs?: number } | undefined,
  policy: RetryPolicy,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (error) {
      const transient = isTransient(error)
      if (transient === undefined || tried >= policy.attempts) throw error
      const jittered = Math.random() * Math.min(policy.maxMs, policy.baseMs * 2 ** tried)
      await new Promise((resolve) => setTimeout(resolve, Math.max(transient.afterMs ?? 0, jittered)))
    }
  }
}
