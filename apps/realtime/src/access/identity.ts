import { createSecretKey, type KeyObject } from 'node:crypto'
import { type ChannelPermission, isToken, userId } from '@carillon/contracts'
import { channelGrantOf, isChannelToken } from '@carillon/rooms'
import { CarillonError, sha256 } from '@carillon/service'
import { type Claims, readSignedClaims } from './signed-claims.js'

/** Who holds a connection. */
export interface Identity {
  tenant: string
  /** The user as the outside calls them. */
  externalId: string
  /** The user as subjects call them. */
  userId: string
  /** What the token says of channels, as it came; undefined when it says nothing. */
  claims: ChannelClaims | undefined
  expiresAtMs: number
}

export interface ChannelClaims {
  rooms: unknown
  channels: unknown
}

/** What a token for one channel says. It lets nobody connect. */
export interface ChannelToken {
  tenant: string
  externalId: string
  channel: string
  permissions: ReadonlySet<ChannelPermission>
  info: unknown
  expiresAtMs: number
}

export type TokenErrorCode = 'TOKEN_INVALID' | 'TOKEN_EXPIRED' | 'TICKET_TOO_LONG'

export class TokenError extends CarillonError {
  override readonly name = 'TokenError'
  declare readonly code: TokenErrorCode

  constructor(code: TokenErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause })
  }
}

/** A token in an address ends up in logs and histories, so it may live an hour at most. */
const MAX_TICKET_SECONDS = 3_600
const MAX_TOKEN_LENGTH = 4_096
const MAX_USER_LENGTH = 256
/** Who signs our tokens, and for whom. */
const ISSUER = 'carillon'

/** Verifies user tokens: HS256 and nothing else, our issuer and audience, a subject, a tenant and an end. */
export class TokenVerifier {
  readonly #key: KeyObject
  readonly #now: () => number

  /** `key` is base64url, at least 32 bytes. */
  constructor(key: string, now: () => number) {
    const bytes = Buffer.from(key, 'base64url')
    if (bytes.length < 32)
      throw new CarillonError('KEY_INVALID', 'The token key must have at least 32 bytes.')
    this.#key = createSecretKey(bytes)
    this.#now = now
  }

  /** @throws TokenError */
  async verify(token: string, options: { ticket?: boolean } = {}): Promise<Identity> {
    const payload = this.#read(token)
    if (options.ticket === true) {
      const { exp, iat } = payload as { exp: number; iat?: number }
      if (exp - (iat ?? this.#now() / 1_000) > MAX_TICKET_SECONDS) {
        throw new TokenError('TICKET_TOO_LONG', 'A token in the address may live an hour at most.')
      }
    }
    if (isChannelToken({ channel: payload.channel })) throw invalid()
    const { tenant, externalId, expiresAtMs } = subjectOf(payload)
    const { rooms, channels } = payload
    return {
      tenant,
      externalId,
      userId: userId(sha256, tenant, externalId),
      claims: rooms === undefined && channels === undefined ? undefined : { rooms, channels },
      expiresAtMs,
    }
  }

  /** Reads a token for one channel. @throws TokenError */
  async verifyChannel(token: string): Promise<ChannelToken> {
    const payload = this.#read(token)
    const grant = channelGrantOf({
      channel: payload.channel,
      permissions: payload.permissions,
      info: payload.info,
    })
    if (grant === undefined) throw invalid()
    const { channel, permissions, info } = grant
    return { ...subjectOf(payload), channel, permissions, info }
  }

  #read(token: string): Claims {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid()
    const verdict = readSignedClaims(token, this.#key, {
      issuer: ISSUER,
      audience: ISSUER,
      nowMs: this.#now(),
    })
    if ('claims' in verdict) return verdict.claims
    if (verdict.refused === 'expired') throw new TokenError('TOKEN_EXPIRED', 'The token has expired.')
    throw invalid(verdict.why)
  }
}

function subjectOf(payload: Claims): { tenant: string; externalId: string; expiresAtMs: number } {
  const { sub, exp, tid } = payload
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_USER_LENGTH) throw invalid()
  if (typeof tid !== 'string' || !isToken(tid) || typeof exp !== 'number') throw invalid()
  return { tenant: tid, externalId: sub, expiresAtMs: exp * 1_000 }
}

function invalid(cause?: unknown): TokenError {
  return new TokenError('TOKEN_INVALID', 'The token is not valid.', cause)
}
