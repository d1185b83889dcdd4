import type { AuditFact } from '@carillon/contracts'
import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'

/** Who sends a request. The tenant comes from here and from nowhere else. */
export type Principal =
  | { kind: 'key'; tenant: string; id: string; scopes: ReadonlySet<string> }
  | { kind: 'user'; tenant: string; id: string; externalId: string; roles: readonly string[] }

export type Person = Principal & { kind: 'user' }

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined only where nobody needs to sign in. */
    principal: Principal | undefined
  }
}

/** The request's principal. @throws HttpProblem 401 */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === undefined) throw unauthorized('Send an API key or a user token.')
  return request.principal
}

/** The signed-in person. @throws HttpProblem 401 or 403 */
export function personOf(request: FastifyRequest): Person {
  const principal = principalOf(request)
  if (principal.kind !== 'user') throw new HttpProblem(403, 'USER_TOKEN_NEEDED', 'This needs a user token.')
  return principal
}

export function actorOf(principal: Principal): AuditFact['actor'] {
  return { kind: principal.kind, id: principal.id }
}

/** One answer for every way in which a credential can be wrong. */
export function unauthorized(detail = 'The credential is not valid.'): HttpProblem {
  return new HttpProblem(401, 'UNAUTHENTICATED', detail, {
    headers: { 'www-authenticate': 'Bearer realm="carillon"' },
  })
}
