import { HttpProblem } from '@carillon/service'

/** How often somebody may: `burst` times at once, `perSecond` in the long run. */
export interface Pace {
  /** Counts one more of somebody. @throws HttpProblem 429 when it is too soon, with the seconds to wait */
  count(who: string, now: number): void
}

/** Above so many people those who may go on anyway are forgotten. */
const KNOWN = 10_000

/** One number per person: when their burst would be whole again (the generic cell rate algorithm). In memory. */
export function createPace({ perSecond, burst }: { perSecond: number; burst: number }): Pace {
  const everyMs = 1_000 / perSecond
  const wholeAt = new Map<string, number>()
  return {
    count(who, now) {
      const whole = Math.max(wholeAt.get(who) ?? 0, now)
      const waitMs = whole - now - (burst - 1) * everyMs
      if (waitMs > 0) {
        const headers = { 'retry-after': String(Math.ceil(waitMs / 1_000)) }
        throw new HttpProblem(429, 'TOO_FAST', 'That was too much at once.', { headers })
      }
      if (wholeAt.size >= KNOWN) for (const [known, at] of wholeAt) if (at <= now) wholeAt.delete(known)
      wholeAt.set(who, whole + everyMs)
    },
  }
}
