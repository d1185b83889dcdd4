import {
  askSubject,
  MAX_STANDING_USERS,
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

/**
 * Who may not be connected any more, though their token is still good: suspended users, and everybody of a suspended
 * tenant. Asked again and again rather than told, so that no lost message leaves a door open.
 */
export class Standing {
  readonly #deps: StandingDeps
  readonly #refused = new Map<string, number>()

  constructor(deps: StandingDeps) {
    this.#deps = deps
  }

  /** True for somebody who was found fallen a moment ago. */
  refuses(userId: string): boolean {
    const until = this.#refused.get(userId)
    if (until === undefined) return false
    if (until > this.#deps.now()) return true
    this.#refused.delete(userId)
    return false
  }

  /** Those of the holders who may stay no longer. @throws ApiError nobody answers: then they stay */
  async fallen(holders: readonly Holder[]): Promise<ReadonlySet<string>> {
    const byTenant = new Map<string, Set<string>>()
    for (const { tenant, userId } of holders) {
      const users = byTenant.get(tenant) ?? new Set()
      byTenant.set(tenant, users.add(userId))
    }
    const answers = await Promise.all(
      [...byTenant].flatMap(([tenant, users]) =>
        chunks([...users], MAX_STANDING_USERS).map((chunk) => this.#ask(tenant, chunk)),
      ),
    )
    const fallen = new Set(answers.flat())
    for (const userId of fallen) this.#refuse(userId)
    return fallen
  }

  async #ask(tenant: string, users: readonly string[]): Promise<readonly string[]> {
    const answer = (await this.#deps.ask(askSubject('standing', tenant), {
      users,
    })) as Partial<StandingAnswer>
    return Array.isArray(answer?.fallen) ? answer.fallen : []
  }

  #refuse(userId: string): void {
    this.#refused.delete(userId)
    this.#refused.set(userId, this.#deps.now() + REFUSED_MS)
    if (this.#refused.size > MAX_REFUSED) this.#refused.delete(this.#refused.keys().next().value as string)
  }
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  )
}
