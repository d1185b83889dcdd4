import { hash } from 'node:crypto'

/** Most tokens that are remembered: 600 bytes each when they say nothing of channels. */
const MAX_KNOWN = 50_000
/** What long ones say takes about three bytes for each of their characters: so many in all. */
const MAX_CHARACTERS = 16 * 1024 * 1024

/**
 * What tokens said whose signature was good. Clients come back with the token they had, all at once after a cut, and
 * reading it again costs 70 to 150 µs of the 300 to 400 of their return. Only hashes are kept, so that no memory dump
 * holds tokens. Who was remembered first is forgotten first.
 */
export class KnownTokens<T extends { readonly expiresAtMs: number }> {
  readonly #now: () => number
  readonly #known = new Map<string, { said: T; length: number }>()
  #characters = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Undefined for a token that is not known, or whose time is over. */
  get(token: string): T | undefined {
    const key = keyOf(token)
    const said = this.#known.get(key)?.said
    if (said === undefined || said.expiresAtMs > this.#now()) return said
    this.#forget(key)
    return undefined
  }

  add(token: string, said: T): void {
    const key = keyOf(token)
    this.#forget(key)
    this.#known.set(key, { said, length: token.length })
    this.#characters += token.length
    while (this.#known.size > MAX_KNOWN || this.#characters > MAX_CHARACTERS) {
      this.#forget(this.#known.keys().next().value as string)
    }
  }

  #forget(key: string): void {
    this.#characters -= this.#known.get(key)?.length ?? 0
    this.#known.delete(key)
  }
}

function keyOf(token: string): string {
  return hash('sha256', token, 'base64')
}
