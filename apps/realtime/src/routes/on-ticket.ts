import { randomBytes } from 'node:crypto'
import { RedisError, type Tickets } from '@carillon/redis'
import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Identity, TokenError, type TokenVerifier } from '../access/identity.js'
import { openToken, sealToken } from '../access/sealed-token.js'
import type { EdgeDeps } from './edge-deps.js'
import { admit, answerPreflight, checkOrigin, corsHeaders, identify, SESSION_COOKIE } from './handshake.js'
import { documented } from './shapes.js'

/** How long a ticket is good, unless the token it stands for ends before. */
export const TICKET_TTL_MS = 3_600_000

const PATH = '/v1/sse/ticket'
const SESSION = /^[A-Za-z0-9_-]{43}$/
const description = documented({
  summary: 'A word for the address of an EventSource',
  description: 'Good for an hour, or until the token ends, and only with the cookie that comes with it.',
  security: [{ userToken: [] }],
  response: {
    201: Type.Object(
      { ticket: Type.String(), expiresAt: Type.String({ format: 'date-time' }) },
      { description: 'With the cookie `carillon_session`.' },
    ),
  },
})

/**
 * `POST /v1/sse/ticket`: a word for the address of an `EventSource`, which can send no header. It is good again and
 * again until it ends, since an `EventSource` comes back with the address it was made with, but only together with the
 * session's cookie: an address that is found in a log opens nothing.
 */
export function onTicket(http: FastifyInstance, deps: EdgeDeps): void {
  http.options(PATH, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins, 'POST'))
  http.post(PATH, description, async (request, reply) => {
    checkOrigin(request, deps.allowedOrigins)
    const token = bearer(request)
    const identity = token === undefined ? undefined : await identify(request, deps.verifier)
    if (token === undefined || identity === undefined) {
      throw new HttpProblem(401, 'TOKEN_MISSING', 'Send a user token: Authorization: Bearer.')
    }
    const { tickets } = deps
    if (tickets === undefined) throw unavailable()
    admit('sse', deps)
    const known = cookie(request, SESSION_COOKIE)
    const session = known !== undefined && SESSION.test(known) ? known : randomBytes(32).toString('base64url')
    const endsAtMs = Math.min(deps.now() + TICKET_TTL_MS, identity.expiresAtMs)
    const claims = { token: sealToken(token, session), endsAtMs }
    const { ticket } = await reachable(() => tickets.issue(claims, session))
    return reply
      .code(201)
      .headers({
        'cache-control': 'no-store',
        'set-cookie': sessionCookie(request, session),
        ...corsHeaders(request, deps.allowedOrigins),
      })
      .send({ ticket, expiresAt: new Date(endsAtMs).toISOString() })
  })
}

/**
 * Who holds the ticket in the address; undefined when there is none. The token behind it is verified anew.
 * @throws HttpProblem 401 when it is unknown, ended, or of another session; 503 when nobody can say
 */
export async function identifyByTicket(
  request: FastifyRequest,
  deps: { verifier: TokenVerifier; tickets: Tickets | undefined },
): Promise<Identity | undefined> {
  const { ticket } = request.query as Record<string, unknown>
  if (ticket === undefined || request.headers.authorization !== undefined) return undefined
  const { tickets } = deps
  if (tickets === undefined) throw unavailable()
  const session = cookie(request, SESSION_COOKIE)
  const claims = await reachable(() => tickets.redeem(String(ticket), session))
  const token = session === undefined ? undefined : openToken(String(claims?.token ?? ''), session)
  if (token === undefined) throw refused('TICKET_INVALID', 'The ticket has ended or is not for this session.')
  try {
    const identity = await deps.verifier.verify(token)
    return { ...identity, expiresAtMs: Math.min(identity.expiresAtMs, Number(claims?.endsAtMs)) }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    throw refused(error.code, error.message)
  }
}

function refused(code: string, detail: string): HttpProblem {
  return new HttpProblem(401, code, detail, { headers: { 'www-authenticate': 'Bearer' } })
}

async function reachable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof RedisError) throw unavailable(error)
    throw error
  }
}

function unavailable(cause?: unknown): HttpProblem {
  return new HttpProblem(503, 'TICKETS_UNAVAILABLE', 'Tickets are not to be had at this moment.', {
    headers: { 'retry-after': '1' },
    ...(cause === undefined ? {} : { cause }),
  })
}

/** A page of another site keeps the cookie apart for itself; browsers say which pages those are. */
function sessionCookie(request: FastifyRequest, session: string): string {
  const cross = request.headers['sec-fetch-site'] === 'cross-site'
  const secure = request.protocol === 'https'
  const rules = cross
    ? '; SameSite=None; Secure; Partitioned'
    : `; SameSite=Strict${secure ? '; Secure' : ''}`
  return `${SESSION_COOKIE}=${session}; Path=/v1/; HttpOnly; Max-Age=86400${rules}`
}

function bearer(request: FastifyRequest): string | undefined {
  const [scheme = '', token] = request.headers.authorization?.split(' ') ?? []
  return scheme.toLowerCase() === 'bearer' ? token : undefined
}

function cookie(request: FastifyRequest, wanted: string): string | undefined {
  for (const part of request.headers.cookie?.split(';') ?? []) {
    const [name, value] = part.trim().split('=', 2)
    if (name === wanted) return value
  }
  return undefined
}
