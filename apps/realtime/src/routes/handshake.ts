import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Identity, TokenError, type TokenVerifier } from '../access/identity.js'
import type { Client, Connections } from '../clients/connections.js'
import type { RealtimeEvents } from '../events.js'

/** The cookie that carries a user token. The edge sets it HttpOnly and SameSite=Strict. */
export const TOKEN_COOKIE = 'carillon_token'
/** Binds tickets to the browser that asked for them. */
export const SESSION_COOKIE = 'carillon_session'

/** @throws HttpProblem 403 unless the request comes from no browser, from our own address or from a listed origin */
export function checkOrigin(request: FastifyRequest, allowed: ReadonlySet<string>): void {
  const { origin, host } = request.headers
  if (origin === undefined || allowed.has(origin)) return
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return
  throw new HttpProblem(403, 'ORIGIN_DENIED', 'This origin is not in the list of allowed origins.')
}

/** Lets a listed origin read the answer of a cross-origin request. */
export function corsHeaders(
  request: FastifyRequest,
  allowed: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  const { origin } = request.headers
  if (origin === undefined || !allowed.has(origin)) return {}
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'retry-after',
    vary: 'origin',
  }
}

/** Lets listed origins read all answers: of a refusal without these headers a page learns nothing. */
export function answerAcrossOrigins(http: FastifyInstance, allowed: ReadonlySet<string>): void {
  http.addHook('onRequest', (request, reply, done) => {
    reply.headers(corsHeaders(request, allowed))
    done()
  })
}

/** Answers the preflight of fetch-based clients. */
export function answerPreflight(
  request: FastifyRequest,
  reply: FastifyReply,
  allowed: ReadonlySet<string>,
  methods = 'GET',
): FastifyReply {
  checkOrigin(request, allowed)
  return reply
    .code(204)
    .headers({
      ...corsHeaders(request, allowed),
      'access-control-allow-methods': methods,
      'access-control-allow-headers': 'authorization, last-event-id, cache-control, content-type',
      'access-control-max-age': '600',
    })
    .send()
}

/**
 * The token that came with a request: header before query before cookie; undefined when there is none.
 * @throws HttpProblem 401 when there is one and it is not valid
 */
export async function identify(
  request: FastifyRequest,
  verifier: TokenVerifier,
): Promise<Identity | undefined> {
  const found = findToken(request)
  if (found === undefined) return undefined
  try {
    return await verifier.verify(found.token, { ticket: found.ticket })
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    throw new HttpProblem(401, error.code, error.message, { headers: { 'www-authenticate': 'Bearer' } })
  }
}

function findToken(request: FastifyRequest): { token: string; ticket: boolean } | undefined {
  const { authorization, cookie } = request.headers
  if (authorization !== undefined) {
    const [scheme = '', token = ''] = authorization.split(' ')
    return { token: scheme.toLowerCase() === 'bearer' ? token : '', ticket: false }
  }
  const query = request.query as Record<string, unknown>
  if (query.token !== undefined) return { token: String(query.token), ticket: true }
  for (const part of cookie?.split(';') ?? []) {
    const [name, value] = part.trim().split('=', 2)
    if (name === TOKEN_COOKIE && value !== undefined) return { token: value, ticket: false }
  }
  return undefined
}

/** @throws HttpProblem 503 while too many connections begin at once, or the node is being emptied */
export function admit(
  transport: Client['transport'],
  deps: { connections: Connections; events: RealtimeEvents },
): void {
  if (deps.connections.admit()) return
  deps.events.refused(transport, 'admission')
  throw new HttpProblem(503, 'OVERLOADED', 'Too many connections at this moment.', {
    headers: { 'retry-after': String(1 + Math.floor(Math.random() * 4)) },
  })
}
