import { ContractError } from './errors.js'

const TOKEN = /^[a-z0-9-]{1,64}$/

/** True when `value` may stand as one token of a subject: lower-case letters, digits, dashes, at most 64. */
export function isToken(value: string): boolean {
  return TOKEN.test(value)
}

/**
 * Returns `value` unchanged when it may stand in a subject. The client library lets `*`, `>` and over-long
 * tokens through, and one over-long subject closes the connection that all requests share, so nothing is
 * published before this was asked.
 * @throws ContractError `TOKEN_INVALID`
 */
export function assertToken(value: string, what: string): string {
  if (!isToken(value)) {
    throw new ContractError(
      'TOKEN_INVALID',
      `${what} "${value.slice(0, 80)}" can't be used in a subject: use 1 to 64 of a-z, 0-9 and "-".`,
      what,
    )
  }
  return value
}

const HALF_CHARACTER = /\p{Surrogate}/u

/** True when no character is half there: with `u`, a whole pair is one code point and no surrogate. */
export function isWellFormed(text: string): boolean {
  return !HALF_CHARACTER.test(text)
}
