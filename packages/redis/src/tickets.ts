import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { RedisConnection } from './connection.js'

export interface TicketOptions {
  /** What the tickets are for; tickets of one purpose are nothing for another. */
  purpose: string
  /** How long a ticket is good. Default 30,000. */
  ttlMs?: number
  /**
   * `once` a ticket is gone when it is first shown, right or wrong. `session` it is good until it ends, for the
   * session it was issued to only: every ticket then has a `session`.
   */
  use: 'once' | 'session'
}

/** Who a ticket stands for: whatever its issuer wants back. Holds no secret. */
export type TicketClaims = Record<string, string | number | boolean | null>

export interface Tickets {
  /** @throws RedisError `UNAVAILABLE` */
  issue(claims: TicketClaims, session?: string): Promise<{ ticket: string; expiresAt: Date }>
  /** What it was issued for, or undefined: unknown, ended, used, or of another session. @throws RedisError */
  redeem(ticket: string, session?: string): Promise<TicketClaims | undefined>
}

interface Stored {
  claims: TicketClaims
  session: string | null
}

const TICKET = /^[A-Za-z0-9_-]{43}$/

/** Short-lived random tickets. Redis holds only their hashes: who reads it can't use them. */
export function createTickets(redis: RedisConnection, options: TicketOptions): Tickets {
  const ttlMs = options.ttlMs ?? 30_000
  const keyOf = (ticket: string): string => `ticket:${options.purpose}:${digest(ticket)}`
  return {
    issue: async (claims, session) => {
      if (options.use === 'session' && session === undefined)
        throw new Error('A session ticket needs a session.')
      const ticket = randomBytes(32).toString('base64url')
      const stored: Stored = { claims, session: session === undefined ? null : digest(session) }
      const expiresAt = new Date(Date.now() + ttlMs)
      await redis.run((client) => client.set(keyOf(ticket), JSON.stringify(stored), 'PX', ttlMs))
      return { ticket, expiresAt }
    },
    redeem: async (ticket, session) => {
      if (!TICKET.test(ticket)) return undefined
      const key = keyOf(ticket)
      const text = await redis.run((client) =>
        options.use === 'once' ? client.getdel(key) : client.get(key),
      )
      if (text === null) return undefined
      const stored = JSON.parse(text) as Stored
      return isSession(stored.session, session) ? stored.claims : undefined
    },
  }
}

function isSession(expected: string | null, session: string | undefined): boolean {
  if (expected === null) return true
  return session !== undefined && timingSafeEqual(Buffer.from(expected), Buffer.from(digest(session)))
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
