const WINDOW_MS = 60_000

/** How many a key may still do in this minute of the clock. */
export interface Quota {
  /** Undefined when it is within the limit, and counted; otherwise seconds until the next minute, at least 1. */
  take(key: string, perMinute: number | undefined): number | undefined
  reset(): void
}

export function createQuota(now: () => number): Quota {
  const used = new Map<string, number>()
  let window = 0
  return {
    take(key, perMinute) {
      if (perMinute === undefined) return undefined
      const at = now()
      const current = Math.floor(at / WINDOW_MS)
      if (current !== window) used.clear()
      window = current
      const before = used.get(key) ?? 0
      if (before >= perMinute) return Math.max(1, Math.ceil(((current + 1) * WINDOW_MS - at) / 1000))
      used.set(key, before + 1)
      return undefined
    },
    reset: () => used.clear(),
  }
}
