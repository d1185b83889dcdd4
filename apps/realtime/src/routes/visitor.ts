import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../access/identity.js'
import type { EdgeDeps } from './edge-deps.js'
import { checkOrigin, identify } from './handshake.js'
import { identifyByTicket } from './on-ticket.js'

/**
 * Who asks something of a channel without being connected: origin, token, standing, and `price` of what this user may
 * ask and say without a connection, by whichever route.
 * @throws HttpProblem 401, 403, 429
 */
export async function letAsk(request: FastifyRequest, deps: EdgeDeps, price = 1): Promise<Identity> {
  checkOrigin(request, deps.allowedOrigins)
  const identity = (await identifyByTicket(request, deps)) ?? (await identify(request, deps.verifier))
  if (identity === undefined) {
    throw new HttpProblem(401, 'TOKEN_MISSING', 'Send a user token: Authorization, cookie, or a ticket.')
  }
  // the patrol looks at holders of connections only
  if (!(await deps.standing.stands(identity))) {
    throw new HttpProblem(403, 'SUSPENDED', 'This user may not be connected.')
  }
  if (!deps.budgets.of(identity.userId).take(price)) {
    throw new HttpProblem(429, 'TOO_MANY_REQUESTS', 'Too many publications and questions at this moment.', {
      headers: { 'retry-after': '1' },
    })
  }
  return identity
}
