import { UnauthorizedError } from '../errors.js'
import type { HostEvent, TokenAnswer } from './messages.js'

/** A tab that does not answer may be frozen: then another one is asked. */
const ANSWER_MS = 15_000

interface Asked {
  tab: string
  take: (answer: TokenAnswer | undefined) => void
}

/** Gets tokens from the tabs: only they have the way to the page's own server. */
export class TokenDesk {
  readonly #tabs = new Map<string, (event: HostEvent) => void>()
  readonly #asked = new Map<string, Asked>()

  add(tab: string, tell: (event: HostEvent) => void): void {
    this.#tabs.set(tab, tell)
  }

  remove(tab: string): void {
    this.#tabs.delete(tab)
    for (const asked of this.#asked.values()) if (asked.tab === tab) asked.take(undefined)
  }

  /** The person's token, or that of a channel; `first` is asked before others. @throws UnauthorizedError, Error */
  async ask(channel: string | null, first?: string): Promise<string> {
    const tabs = [...this.#tabs.keys()].reverse().sort((a, b) => Number(b === first) - Number(a === first))
    for (const tab of tabs) {
      const answer = await this.#askTab(tab, channel)
      if (answer === undefined) continue
      if ('token' in answer) return answer.token
      throw answer.unauthorized ? new UnauthorizedError(answer.message) : new Error(answer.message)
    }
    throw new Error('No tab gives a token.')
  }

  answer(id: string, answer: TokenAnswer): void {
    this.#asked.get(id)?.take(answer)
  }

  close(): void {
    this.#tabs.clear()
    for (const asked of this.#asked.values()) asked.take(undefined)
  }

  #askTab(tab: string, channel: string | null): Promise<TokenAnswer | undefined> {
    const tell = this.#tabs.get(tab)
    if (tell === undefined) return Promise.resolve(undefined)
    const id = crypto.randomUUID()
    return new Promise((resolve) => {
      const timer = setTimeout(() => take(undefined), ANSWER_MS)
      const take = (answer: TokenAnswer | undefined) => {
        clearTimeout(timer)
        this.#asked.delete(id)
        resolve(answer)
      }
      this.#asked.set(id, { tab, take })
      tell({ type: 'token', id, channel })
    })
  }
}
