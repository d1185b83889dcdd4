import { type CountInput, counterName, countersOf, settleCounters } from '../counters.js'
import type { Plan } from '../plan.js'

/** Counters of caps and throttles, of everybody. */
export interface Counts {
  /** Judges a plan against the counters of its person, and counts. @throws RenderError */
  settle(recipient: string, counting: CountInput): Plan
}

/** Windows that have ended are forgotten when so many counters have been made since the last time. */
const FORGET_EVERY = 10_000

export function createCounts(): Counts {
  const kept = new Map<string, { count: number; windowEnd: number }>()
  let forgetAt = FORGET_EVERY
  return {
    settle(recipient, counting) {
      const counters = countersOf(counting)
      if (counters.length === 0) return counting.plan
      const counts = new Map(
        counters.map((counter) => {
          const name = counterName(counter)
          return [name, kept.get(`${recipient} ${name}`)?.count ?? 0]
        }),
      )
      const settled = settleCounters(counting, counts)
      for (const counter of counters) {
        const name = counterName(counter)
        kept.set(`${recipient} ${name}`, { count: counts.get(name) ?? 0, windowEnd: counter.windowEnd })
      }
      if (kept.size >= forgetAt) {
        for (const [name, { windowEnd }] of kept) {
          if (windowEnd <= counting.input.now) kept.delete(name)
        }
        forgetAt = kept.size + FORGET_EVERY
      }
      return settled
    },
  }
}
