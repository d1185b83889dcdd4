import { TokenBucket } from './admission.js'

/** Publications and questions of one client: a position five times a second and somebody who types fast. */
const PER_SECOND = 50
/** Who comes back to 128 channels asks for the history of each, and who is there. */
const BURST = 400
const MAX_USERS = 10_000

/** What one client may still publish and ask for. */
export function createBudget(now: () => number): TokenBucket {
  return new TokenBucket({ perSecond: PER_SECOND, burst: BURST, now })
}

/** Budgets of users that hold no connection; whoever has said nothing for longest is forgotten first. */
export class Budgets {
  readonly #now: () => number
  readonly #byUser = new Map<string, TokenBucket>()

  constructor(now: () => number) {
    this.#now = now
  }

  of(userId: string): TokenBucket {
    const budget = this.#byUser.get(userId) ?? createBudget(this.#now)
    this.#byUser.delete(userId)
    this.#byUser.set(userId, budget)
    if (this.#byUser.size > MAX_USERS) this.#byUser.delete(this.#byUser.keys().next().value as string)
    return budget
  }
}
