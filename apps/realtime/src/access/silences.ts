/** Whose question was not answered a moment ago. */
export interface Silences {
  add(asker: string): void
  has(asker: string): boolean
}

const HOLDS_MS = 2_000
const MAX_ASKERS = 10_000

/**
 * A service that hangs is waited for once. A client's commands are worked on one after the other, so that a wait for
 * each of its rooms would be longer than clients wait for an answer, and they would drop the whole connection.
 */
export function createSilences(now: () => number): Silences {
  const until = new Map<string, number>()
  return {
    add(asker) {
      until.delete(asker)
      until.set(asker, now() + HOLDS_MS)
      if (until.size > MAX_ASKERS) until.delete(until.keys().next().value as string)
    },
    has(asker) {
      const end = until.get(asker)
      if (end === undefined || end > now()) return end !== undefined
      until.delete(asker)
      return false
    },
  }
}
