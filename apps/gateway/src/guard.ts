import { HttpProblem } from '@carillon/service'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ACCESS, type Access } from './access.js'
import type { Trail } from './audit.js'
import type { Authenticator } from './authenticate.js'
import type { GatewayConfig } from './config.js'
import type { GatewayEvents } from './events.js'
import { type LimitPolicy, limitHeaders, type RateLimiter, type Taken, tooMany } from './limits.js'
import { type Principal, principalOf, unauthorized } from './principal.js'

const WINDOW_MS = 60_000

export interface GuardDeps {
  config: GatewayConfig
  authenticator: Authenticator
  limiter: RateLimiter
  trail: Trail
  events: GatewayEvents
}

export interface Guard {
  /** Runs before a body is read: who is it, may they, how often already. */
  onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /**
   * Counts the messages of a request, before the first is published; a batch is taken whole or not at all.
   * @throws HttpProblem 429
   */
  spend(request: FastifyRequest, messages: number): Promise<void>
  /** Counts what somebody asks another way than by a request, as if it were one. @throws HttpProblem 429 */
  admit(principal: Principal, what: string, correlationId: string): Promise<void>
}

export function createGuard(deps: GuardDeps): Guard {
  const { authenticator, limiter, config, trail, events } = deps
  const perAddress: LimitPolicy = { limit: config.addressRequestsPerMinute, windowMs: WINDOW_MS }
  const perCallback: LimitPolicy = { limit: config.callbackRequestsPerMinute, windowMs: WINDOW_MS }
  const perTenant: LimitPolicy = { limit: config.tenantRequestsPerMinute, windowMs: WINDOW_MS }
  const perTenantMessages: LimitPolicy = { limit: config.tenantMessagesPerMinute, windowMs: WINDOW_MS }
  const perKey: LimitPolicy = { limit: config.keyRequestsPerMinute, windowMs: WINDOW_MS }
  const perUser: LimitPolicy = { limit: config.userRequestsPerMinute, windowMs: WINDOW_MS }

  const limitAddress = async (request: FastifyRequest): Promise<void> => {
    const taken = await limiter.take(`address ${networkOf(request.ip)}`, perAddress)
    if (!taken.allowed) throw tooMany(taken)
  }

  const limitCallback = async (request: FastifyRequest): Promise<void> => {
    const taken = await limiter.take(`callback ${networkOf(request.ip)}`, perCallback)
    if (!taken.allowed) throw tooMany(taken)
  }

  const identify = async (request: FastifyRequest, access: Access): Promise<Principal | undefined> => {
    const { authorization } = request.headers
    if (authorization === undefined) {
      if (access.callback) await limitCallback(request)
      else await limitAddress(request)
      if (access.anonymous) return undefined
      throw unauthorized('Send `Authorization: Bearer …` with an API key or a user token.')
    }
    try {
      return await authenticator.authenticate(authorization)
    } catch (error) {
      // guessing is counted; trouble of ours isn't
      if (error instanceof HttpProblem) await limitAddress(request)
      throw error
    }
  }

  const count = async (principal: Principal) => {
    const policy = principal.kind === 'key' ? perKey : perUser
    const own = await limiter.take(`${principal.kind} ${principal.tenant} ${principal.id}`, policy)
    const all = own.allowed ? await limiter.take(`tenant ${principal.tenant}`, perTenant) : own
    return { policy, own, all }
  }

  const refuse = (principal: Principal, what: string, correlationId: string, taken: Taken): never => {
    events.refused('limit')
    void trail.refused(principal, 'limit', what, correlationId)
    throw tooMany(taken)
  }

  return {
    async admit(principal, what, correlationId) {
      const { all } = await count(principal)
      if (!all.allowed) refuse(principal, what, correlationId, all)
    },
    async spend(request, messages) {
      const principal = principalOf(request)
      // a batch larger than the limit has to fit a window that is empty
      const points = Math.min(messages, perTenantMessages.limit)
      const taken = await limiter.take(`messages ${principal.tenant}`, perTenantMessages, points)
      if (!taken.allowed) refuse(principal, routeOf(request), request.id, taken)
    },
    async onRequest(request, reply) {
      const route = routeOf(request)
      const access = ACCESS[route]
      // what no route answers has no entry: counted, then 404
      if (access === undefined) return limitAddress(request)
      const principal = await identify(request, access)
      request.principal = principal
      if (principal === undefined) return
      const { policy, own, all } = await count(principal)
      limitHeaders(reply, own, policy)
      if (!all.allowed) refuse(principal, route, request.id, all)
      if (!mayCall(principal, access)) {
        events.refused('scope')
        void trail.refused(principal, 'scope', route, request.id)
        throw notAllowed(principal, access)
      }
    },
  }
}

/** `<method> <pattern>`, the name of a route in the table of access. */
export function routeOf(request: FastifyRequest): string {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  return `${method} ${request.routeOptions.url ?? ''}`
}

function mayCall(principal: Principal, access: Access): boolean {
  if (principal.kind === 'user') return access.user === true || access.anonymous === true
  if (access.scopes === undefined) return false
  return principal.scopes.has('admin') || access.scopes.some((scope) => principal.scopes.has(scope))
}

function notAllowed(principal: Principal, access: Access): HttpProblem {
  if (principal.kind === 'key' && access.scopes === undefined) {
    return new HttpProblem(403, 'USER_TOKEN_NEEDED', 'This is for a signed-in person: send a user token.')
  }
  return new HttpProblem(
    403,
    'SCOPE_MISSING',
    principal.kind === 'key'
      ? `The API key needs one of these scopes: ${[...(access.scopes ?? []), 'admin'].join(', ')}.`
      : 'This needs an API key.',
  )
}

/** IPv6 users own a whole /64. */
function networkOf(address: string): string {
  return address.includes(':') ? address.split(':').slice(0, 4).join(':') : address
}

/**
 * Asserted for every route as it is added: it has its entry in the table of access, and every media type it takes has
 * a schema, since Fastify silently skips validation of a type without one.
 */
export function assertRoute(route: RouteOptions, known: readonly string[]): void {
  const methods = Array.isArray(route.method) ? route.method : [route.method]
  for (const method of methods) {
    if (method === 'HEAD' || method === 'OPTIONS') continue
    const access = ACCESS[`${method} ${route.url}`]
    if (access === undefined) throw new Error(`${method} ${route.url} has no entry in the table of access`)
    const body = route.schema?.body as { content?: Record<string, { schema?: unknown }> } | undefined
    const reads = method === 'POST' || method === 'PUT' || method === 'PATCH'
    if (reads && body === undefined && access.noBody !== true) {
      throw new Error(`${method} ${route.url} reads a body without a schema`)
    }
    for (const [type, entry] of Object.entries(body?.content ?? {})) {
      if (!known.includes(type)) throw new Error(`${method} ${route.url} names ${type}, which nothing reads`)
      if (entry.schema === undefined) throw new Error(`${method} ${route.url} has no schema for ${type}`)
    }
  }
}

/** Refuses media types that a route has no schema for, before the body is read. */
export async function assertMediaType(request: FastifyRequest): Promise<void> {
  const given = request.headers['content-type']
  if (given === undefined) return
  const schema = request.routeOptions.schema?.body as { content?: Record<string, unknown> } | undefined
  const taken =
    schema === undefined
      ? []
      : schema.content === undefined
        ? ['application/json']
        : Object.keys(schema.content)
  const type = given.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (taken.includes(type)) return
  // some clients name a type for a body that they don't send
  if (taken.length === 0 && (request.headers['content-length'] ?? '0') === '0') return
  throw new HttpProblem(
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    taken.length === 0 ? 'This call takes no body.' : `This call takes ${taken.join(', ')}.`,
    { field: 'content-type' },
  )
}
