/** Full jitter: anything up to `baseMs` × 2ⁿ, at most `maxMs`, never less than a tenth of `baseMs`. */
export function backoffMs(failures: number, { baseMs = 1_000, maxMs = 20_000 } = {}): number {
  const most = Math.min(maxMs, baseMs * 2 ** failures)
  return baseMs / 10 + Math.random() * most
}

/** One timer that is set at most once at a time. */
export interface Alarm {
  /** Does nothing while it is set already. */
  set(ms: number): void
  clear(): void
}

export function createAlarm(run: () => void): Alarm {
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    set(ms) {
      timer ??= setTimeout(() => {
        timer = undefined
        run()
      }, ms)
    },
    clear() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
