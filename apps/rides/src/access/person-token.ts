import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** How long somebody stays signed in with one token. */
const LIVES_MS = 12 * 60 * 60 * 1_000

/** Signs persons in and knows them again, without keeping anything. `secret` is the service's own token. */
export interface PersonTokens {
  issue(person: string, now: number): { token: string; expiresAt: string }
  /** Who holds the token; undefined when it isn't ours, was changed or has expired. */
  holder(token: string, now: number): string | undefined
}

export function createPersonTokens(secret: string): PersonTokens {
  const key = createHash('sha256').update(`rides/person ${secret}`).digest()
  const sign = (body: string) => createHmac('sha256', key).update(body).digest('base64url')
  return {
    issue(person, now) {
      const expires = now + LIVES_MS
      const body = Buffer.from(JSON.stringify([person, expires])).toString('base64url')
      return { token: `${body}.${sign(body)}`, expiresAt: new Date(expires).toISOString() }
    },
    holder(token, now) {
      const [body = '', signature = '', rest] = token.split('.')
      if (rest !== undefined || !sameSecret(signature, sign(body))) return undefined
      const [person, expires] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, number]
      return now < expires ? person : undefined
    },
  }
}

/** Compares without telling by time where two secrets differ. */
export function sameSecret(given: string, wanted: string): boolean {
  const hash = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(hash(given), hash(wanted))
}
