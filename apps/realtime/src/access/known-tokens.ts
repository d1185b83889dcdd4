import { hash } from 'node:crypto'

/** Most tokens that are remembered: about 200 bytes each. */
const MAX_KNOWN = 50_000

/**
 * What tokens said whose signature was good. Clients come back with the token they had, all at once after a cut, and
 * reading it again costs more than everything else of their handshake. Only hashes are kept, so that no memory dump
 * holds tokens. Who was remembered first is forgotten first.
 */
export class KnownTokens<T extends { readonly expiresAtMs: number }> {
  readonly #now: () => number
  readonly #known = new Map<string, T>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** Undefined for a token that is not known, or whose time is over. */
  get(token: string): T | undefined {
    const key = keyOf(token)
    const known = this.#known.get(key)
    if (known === undefined || known.expiresAtMs > this.#now()) return known
    this.#known.delete(key)
    return undefined
  }

  add(token: string, said: T): void {
    this.#known.set(keyOf(token), said)
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value as string)
  }
}

function keyOf(token: string): string {
  return hash('sha256', token, 'base64')
}
