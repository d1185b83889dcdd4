import { subtle, type webcrypto } from 'node:crypto'
import { type ChannelPermission, isToken, userId } from '@carillon/contracts'
import { channelGrantOf, isChannelToken } from '@carillon/rooms'
import { CarillonError, sha256 } from '@carillon/service'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { KnownTokens } from './known-tokens.js'

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

/** What a user token said. */
interface UserToken {
  identity: Identity
  expiresAtMs: number
  /** From when it was issued to its end; undefined when it doesn't say when that was. */
  lifetimeSeconds: number | undefined
}

/** Verifies user tokens: HS256 and nothing else, our issuer and audience, a subject, a tenant and an end. */
export class TokenVerifier {
  /** Made once: from anything else jose makes one for every token, half of what reading it costs. */
  readonly #key: Promise<webcrypto.CryptoKey>
  readonly #now: () => number
  readonly #known: KnownTokens<UserToken>

  /** `key` is base64url, at least 32 bytes. */
  constructor(key: string, now: () => number) {
    const bytes = Buffer.from(key, 'base64url')
    if (bytes.length < 32)
      throw new CarillonError('KEY_INVALID', 'The token key must have at least 32 bytes.')
    this.#key = subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
    this.#now = now
    this.#known = new KnownTokens(now)
  }

  /** @throws TokenError */
  async verify(token: string, options: { ticket?: boolean } = {}): Promise<Identity> {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid()
    const { identity, lifetimeSeconds } = this.#known.get(token) ?? (await this.#readUser(token))
    if (options.ticket === true) {
      const seconds = lifetimeSeconds ?? (identity.expiresAtMs - this.#now()) / 1_000
      if (seconds > MAX_TICKET_SECONDS) {
        throw new TokenError('TICKET_TOO_LONG', 'A token in the address may live an hour at most.')
      }
    }
    return identity
  }

  /** Reads a token for one channel. @throws TokenError */
  async verifyChannel(token: string): Promise<ChannelToken> {
    const payload = await this.#read(token)
    const grant = channelGrantOf({
      channel: payload.channel,
      permissions: payload.permissions,
      info: payload.info,
    })
    if (grant === undefined) throw invalid()
    const { channel, permissions, info } = grant
    return { ...subjectOf(payload), channel, permissions, info }
  }

  async #readUser(token: string): Promise<UserToken> {
    const payload = await this.#read(token)
    if (isChannelToken({ channel: payload.channel })) throw invalid()
    const { tenant, externalId, expiresAtMs } = subjectOf(payload)
    const { rooms, channels, iat } = payload
    const identity = {
      tenant,
      externalId,
      userId: userId(sha256, tenant, externalId),
      claims: rooms === undefined && channels === undefined ? undefined : { rooms, channels },
      expiresAtMs,
    }
    const lifetimeSeconds = iat === undefined ? undefined : expiresAtMs / 1_000 - iat
    const said = { identity, expiresAtMs, lifetimeSeconds }
    this.#known.add(token, said)
    return said
  }

  async #read(token: string): Promise<JWTPayload> {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid()
    try {
      const { payload } = await jwtVerify(token, await this.#key, {
        algorithms: ['HS256'],
        issuer: 'carillon',
        audience: 'carillon',
        requiredClaims: ['sub', 'exp', 'tid'],
        currentDate: new Date(this.#now()),
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) {
        throw new TokenError('TOKEN_EXPIRED', 'The token has expired.', error)
      }
      throw invalid(error)
    }
  }
}

function subjectOf(payload: JWTPayload): { tenant: string; externalId: string; expiresAtMs: number } {
  const { sub, exp, tid } = payload
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_USER_LENGTH) throw invalid()
  if (typeof tid !== 'string' || !isToken(tid) || exp === undefined) throw invalid()
  return { tenant: tid, externalId: sub, expiresAtMs: exp * 1_000 }
}

function invalid(cause?: unknown): TokenError {
  return new TokenError('TOKEN_INVALID', 'The token is not valid.', cause)
}
