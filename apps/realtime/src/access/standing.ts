import {
  MAX_STANDING_USERS,
  STANDING_SUBJECT,
  type StandingAnswer,
  type StandingQuestion,
} from '@carillon/contracts'

/** Somebody who holds a connection. */
export interface Holder {
  readonly tenant: string
  readonly userId: string
}

export interface StandingDeps {
  ask: (subject: string, question: StandingQuestion) => Promise<unknown>
  now: () => number
}

/** How long somebody who was sent away is refused without asking again. */
const REFUSED_MS = 30_000
const MAX_REFUSED = 10_000
/** How long somebody without a connection is let in without asking again: as often are those looked at who have one. */
const ASKED_MS = 5_000
const MAX_ASKED = 10_000

/**
 * Who may not be connected any more, though their token is still good: suspended and deleted users, and everybody of a
 * suspended tenant. Asked again and again rather than told, so that no lost message leaves a door open.
 */
export class Standing {
  readonly #deps: StandingDeps
  readonly #refused = new Map<string, number>()
  readonly #asked = new Map<string, number>()

  constructor(deps: StandingDeps) {
    this.#deps = deps
  }

  /**
   * Whether somebody may open a connection. Who was found fallen before is asked about again: else they would be let in
   * until the next look, again and again. While nobody answers, everybody may.
   */
  async admits(holder: Holder): Promise<boolean> {
    const { userId } = holder
    if (this.#refuses(userId)) return false
    return !this.#refused.has(userId) || !(await this.fallen([holder])).has(userId)
  }

  /** Whether somebody who need not hold a connection may go on. While nobody answers, everybody may. */
  async stands(holder: Holder): Promise<boolean> {
    const { userId } = holder
    if (this.#refuses(userId)) return false
    if ((this.#asked.get(userId) ?? 0) > this.#deps.now()) return true
    const fallen = await this.fallen([holder])
    remember(this.#asked, { userId, until: this.#deps.now() + ASKED_MS, most: MAX_ASKED })
    return !fallen.has(userId)
  }

  /**
   * Those of the holders who may stay no longer; users of any tenants share a question, as many as it takes. Those whom
   * nobody answers for stay.
   */
  async fallen(holders: readonly Holder[]): Promise<ReadonlySet<string>> {
    const people = [...new Map(holders.map((holder) => [holder.userId, holder])).values()]
    const answers = await Promise.allSettled(
      chunks(people, MAX_STANDING_USERS).map(async (some) => {
        const fallen = new Set(await this.#ask(some))
        for (const { userId } of some) if (!fallen.has(userId)) this.#refused.delete(userId)
        return [...fallen]
      }),
    )
    const fallen = new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : [])))
    const until = this.#deps.now() + REFUSED_MS
    for (const userId of fallen) remember(this.#refused, { userId, until, most: MAX_REFUSED })
    return fallen
  }

  /** True for somebody who was found fallen a moment ago. */
  #refuses(userId: string): boolean {
    return (this.#refused.get(userId) ?? 0) > this.#deps.now()
  }

  async #ask(people: readonly Holder[]): Promise<readonly string[]> {
    const byTenant = new Map<string, string[]>()
    for (const { tenant, userId } of people) {
      const users = byTenant.get(tenant)
      if (users === undefined) byTenant.set(tenant, [userId])
      else users.push(userId)
    }
    const tenants = Object.fromEntries(byTenant)
    const answer = (await this.#deps.ask(STANDING_SUBJECT, { tenants })) as Partial<StandingAnswer>
    return Array.isArray(answer?.fallen) ? answer.fallen : []
  }
}

/** Who was remembered first is forgotten first. */
function remember(
  users: Map<string, number>,
  { userId, until, most }: { userId: string; until: number; most: number },
): void {
  users.delete(userId)
  users.set(userId, until)
  if (users.size > most) users.delete(users.keys().next().value as string)
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  )
}
