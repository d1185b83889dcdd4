import { canonicalInput, hashUuid } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import { type Arrival, freshId } from './incoming-event.js'
import { principalOf } from './principal.js'

/** What the request says about all of its events. */
export function arrivalOf(request: FastifyRequest, now: number): Arrival {
  const lane = request.headers['carillon-lane']
  const { traceparent } = request.headers
  const { claim } = request
  return {
    tenant: principalOf(request).tenant,
    correlationId: request.id,
    lane: typeof lane === 'string' ? lane : undefined,
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    // derived from the Idempotency-Key, so that a repetition after a crash makes the same event
    newId:
      claim === undefined
        ? freshId
        : () => hashUuid(sha256(canonicalInput('request', [claim.tenant, claim.route, claim.key]))),
    now,
  }
}
