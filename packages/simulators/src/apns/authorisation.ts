import type { KeyObject } from 'node:crypto'
import type { Http2Session } from 'node:http2'
import type { SimulatorRequest } from '../https-server.js'
import { readJwt, verifyJwt } from '../jwt.js'

export const TEAM = 'SIMTEAM123'
export const KEY_ID = 'SIMKEY1234'
const MAX_AGE_SECONDS = 3600

/** What a session has shown of itself. */
interface SessionState {
  jwt: string
  /** Answers about tokens that are none. */
  badTokens: number
}

export interface Authorisation {
  /** Why Apple refuses the provider token; undefined when it is good. Each token's signature is checked once. */
  refuse(request: SimulatorRequest): string | undefined
  /** Counts an answer about a bad token; how many this session has had. */
  badToken(session: Http2Session | undefined): number
}

/** Provider tokens, and what a session may do once it has shown a good one: `maxConcurrentStreams` instead of one. */
export function createAuthorisation(options: {
  publicKey: KeyObject
  maxConcurrentStreams: () => number
  now: () => number
  seen: Set<string>
}): Authorisation {
  const sessions = new WeakMap<Http2Session, SessionState>()
  /** When each good token was issued (seconds), undefined for bad ones. */
  const issued = new Map<string, number | undefined>()

  const issuedAt = (jwt: string): number | undefined => {
    if (issued.has(jwt)) return issued.get(jwt)
    const token = readJwt(jwt)
    const good =
      verifyJwt(jwt, 'ES256', options.publicKey) && token?.header.kid === KEY_ID && token.claims.iss === TEAM
    const at = good ? Number(token.claims.iat) : undefined
    issued.set(jwt, at)
    return at
  }
  return {
    refuse({ headers, session }) {
      const jwt = /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
      if (!jwt) return 'MissingProviderToken'
      options.seen.add(jwt)
      const at = issuedAt(jwt)
      if (at === undefined) return 'InvalidProviderToken'
      const age = options.now() / 1000 - at
      if (!(age > -60 && age < MAX_AGE_SECONDS)) return 'ExpiredProviderToken'
      if (!session) return undefined
      const state = sessions.get(session)
      if (state) return state.jwt === jwt ? undefined : 'TooManyProviderTokenUpdates'
      sessions.set(session, { jwt, badTokens: 0 })
      session.settings({ maxConcurrentStreams: options.maxConcurrentStreams() })
      return undefined
    },
    badToken(session) {
      const state = session && sessions.get(session)
      return state ? ++state.badTokens : 0
    },
  }
}
