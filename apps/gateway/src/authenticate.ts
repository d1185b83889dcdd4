import { createSecretKey, timingSafeEqual } from 'node:crypto'
import { isToken, userId } from '@carillon/contracts'
import { type Database, findApiKey, findStanding, hashSecret } from '@carillon/postgres'
import { type ChannelGrant, isChannelToken } from '@carillon/rooms'
import { HttpProblem, sha256 } from '@carillon/service'
import { errors, jwtVerify, SignJWT } from 'jose'
import { keepFor } from './kept.js'
import { type Principal, unauthorized } from './principal.js'

/** A revoked key, a suspended tenant or user, a deleted user is refused after this long at the latest. */
const KEPT_MS = 3_000
const KEPT_MAX = 10_000
const MAX_TOKEN_LENGTH = 4_096
const API_KEY = /^ck_(?:live|test)_([a-z0-9]{16})_([A-Za-z0-9_-]{43})$/

/** Issuer and audience of the tokens we make. */
export const ISSUER = 'carillon'

export interface Authenticator {
  /** @throws HttpProblem 401, or 403 for a suspended tenant or user */
  authenticate(authorization: string): Promise<Principal>
  /**
   * Lets pass who stands, and whom nobody has stored yet.
   * @throws HttpProblem 401 for a tenant that isn't there and a deleted user, 403 for a suspended tenant or user
   */
  assertStanding(user: { tenant: string; id: string }): Promise<void>
  /**
   * A token with which one user of a tenant signs in; `channels` is its claim of that name.
   * @throws HttpProblem 400 `TOKEN_TOO_LONG`
   */
  issueUserToken(
    user: {
      tenant: string
      externalId: string
      roles: readonly string[]
      channels?: Readonly<Record<string, readonly string[]>> | undefined
    },
    ttlSeconds: number,
  ): Promise<IssuedToken>
  /** A token with which this user subscribes to one channel, good for nothing else. @throws HttpProblem 400 `TOKEN_TOO_LONG` */
  issueChannelToken(
    user: { tenant: string; externalId: string },
    grant: ChannelGrant,
    ttlSeconds: number,
  ): Promise<IssuedToken>
}

export interface IssuedToken {
  token: string
  expiresAt: string
}

/** API keys and user tokens of this installation. `tokenKey` is the HS256 key. */
export function createAuthenticator(deps: {
  database: Database
  tokenKey: Buffer
  now: () => number
}): Authenticator {
  const { database, now } = deps
  const tokenKey = createSecretKey(deps.tokenKey)
  const keys = keepFor({
    forMs: KEPT_MS,
    max: KEPT_MAX,
    now,
    ask: (id) => findApiKey(database, id),
  })
  const standings = keepFor({
    forMs: KEPT_MS,
    max: KEPT_MAX,
    now,
    ask: (name) => {
      const [tenant = '', user = ''] = name.split(' ')
      return database.inTenant(tenant, (tx) => findStanding(tx, { tenant, userId: user }), {
        readOnly: true,
      })
    },
  })

  const byKey = async (id: string, secret: string): Promise<Principal> => {
    const found = await keys.get(id)
    const given = hashSecret(secret)
    if (found === undefined || !timingSafeEqual(found.hash, given)) throw unauthorized()
    if (found.revokedAt !== null || (found.expiresAt !== null && found.expiresAt.getTime() <= now())) {
      throw unauthorized('The API key was revoked or has expired.')
    }
    if (found.tenantStatus !== 'active') throw suspended('tenant')
    return { kind: 'key', tenant: found.tenant, id, scopes: new Set(found.scopes) }
  }

  const byToken = async (token: string): Promise<Principal> => {
    const claims = await verify(token)
    const { sub, tid, roles } = claims
    if (isChannelToken(claims)) throw unauthorized('This token is for a channel and for nothing else.')
    if (typeof sub !== 'string' || sub === '' || sub.length > 256) throw unauthorized()
    if (typeof tid !== 'string' || !isToken(tid)) throw unauthorized()
    const id = userId(sha256, tid, sub)
    await assertStanding({ tenant: tid, id })
    const held = Array.isArray(roles) ? roles.filter((role): role is string => typeof role === 'string') : []
    return { kind: 'user', tenant: tid, id, externalId: sub, roles: held }
  }

  const assertStanding = async ({ tenant, id }: { tenant: string; id: string }): Promise<void> => {
    const standing = await standings.get(`${tenant} ${id}`)
    if (standing === undefined) throw unauthorized()
    if (standing.tenant !== 'active') throw suspended('tenant')
    if (standing.user === 'suspended') throw suspended('user')
    if (standing.user === 'deleted') throw unauthorized('The user was deleted.')
  }

  const verify = async (token: string): Promise<Record<string, unknown>> => {
    try {
      const { payload } = await jwtVerify(token, tokenKey, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: ISSUER,
        requiredClaims: ['sub', 'tid', 'exp'],
        currentDate: new Date(now()),
      })
      return payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw unauthorized('The token has expired.')
      if (error instanceof errors.JOSEError) throw unauthorized()
      throw error
    }
  }

  const issue = async (
    user: { tenant: string; externalId: string },
    claims: Record<string, unknown>,
    ttlSeconds: number,
  ): Promise<IssuedToken> => {
    const issuedAt = Math.floor(now() / 1000)
    const token = await new SignJWT({ ...claims, tid: user.tenant })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setAudience(ISSUER)
      .setSubject(user.externalId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlSeconds)
      .sign(tokenKey)
    if (token.length > MAX_TOKEN_LENGTH) throw tooLong(token.length)
    return { token, expiresAt: new Date((issuedAt + ttlSeconds) * 1000).toISOString() }
  }

  return {
    assertStanding,
    async authenticate(authorization) {
      const [scheme, credential = ''] = authorization.split(' ', 2)
      if (scheme?.toLowerCase() !== 'bearer' || credential.length > MAX_TOKEN_LENGTH) throw unauthorized()
      if (!credential.startsWith('ck_')) return byToken(credential)
      const match = API_KEY.exec(credential)
      if (match === null) throw unauthorized()
      return byKey(match[1] as string, match[2] as string)
    },
    issueUserToken({ roles, channels, ...user }, ttlSeconds) {
      return issue(user, { roles: [...roles], ...(channels === undefined ? {} : { channels }) }, ttlSeconds)
    },
    issueChannelToken(user, { channel, permissions, info }, ttlSeconds) {
      const claims = { channel, permissions: [...permissions], ...(info === undefined ? {} : { info }) }
      return issue(user, claims, ttlSeconds)
    },
  }
}

/** Nobody would take it: browsers send it in headers, and we read no longer ones. */
function tooLong(length: number): HttpProblem {
  return new HttpProblem(
    400,
    'TOKEN_TOO_LONG',
    `The token would have ${length} characters, and may have ${MAX_TOKEN_LENGTH}: grant beginnings like \`room:ride-*\`, or use tokens for single channels.`,
    { field: 'channels' },
  )
}

function suspended(what: 'tenant' | 'user'): HttpProblem {
  return new HttpProblem(403, 'SUSPENDED', `The ${what} is suspended.`)
}
