import { createHash } from 'node:crypto'
import {
  claimIdempotencyKey,
  type Database,
  finishIdempotencyKey,
  type IdempotencyKey,
  releaseIdempotencyKey,
} from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { routeOf } from './guard.js'

/** A request that takes longer than this is taken over by its repetition. */
const LEASE_MS = 60_000
const MAX_KEY = 255
const PRINTABLE = /^[\x21-\x7e]{1,255}$/

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer holds a secret that is shown once: it is never kept for a repetition. */
    secretAnswer?: true
  }
  interface FastifyRequest {
    /** The claim of this request's Idempotency-Key. */
    claim: IdempotencyKey | undefined
  }
}

export interface Repetition {
  preHandler(request: FastifyRequest, reply: FastifyReply): Promise<void>
  onSend(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown>
}

/**
 * `Idempotency-Key` on POST: the same body gets the same answer, another body 422, a request that still runs 409. Only
 * answers of success are kept; a failed request changed nothing and may be repeated.
 */
export function createRepetition(database: Database): Repetition {
  return {
    async preHandler(request, reply) {
      const header = request.headers['idempotency-key']
      if (header === undefined || request.method !== 'POST' || request.principal === undefined) return
      if (request.routeOptions.config.secretAnswer) return
      if (typeof header !== 'string' || !PRINTABLE.test(header)) {
        throw new HttpProblem(
          400,
          'IDEMPOTENCY_KEY_INVALID',
          `Use 1 to ${MAX_KEY} printable characters without spaces.`,
          { field: 'idempotency-key' },
        )
      }
      const { tenant } = request.principal
      const key = { tenant, route: routeOf(request), key: header }
      const claim = await database.inTenant(tenant, (tx) =>
        claimIdempotencyKey(tx, key, { fingerprint: fingerprintOf(request), leaseMs: LEASE_MS }),
      )
      if (claim.kind === 'ours') {
        request.claim = key
        return
      }
      if (claim.kind === 'done') {
        reply.code(claim.status).header('idempotent-replayed', 'true').type('application/json')
        await reply.send(claim.body)
        return
      }
      throw claim.kind === 'other'
        ? new HttpProblem(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body.', {
            field: 'idempotency-key',
          })
        : new HttpProblem(409, 'IDEMPOTENCY_KEY_RUNNING', 'The request with this key is still running.', {
            headers: { 'retry-after': '1' },
          })
    },
    async onSend(request, reply, payload) {
      const key = request.claim
      if (key === undefined) return payload
      request.claim = undefined
      const succeeded = reply.statusCode < 400 && typeof payload === 'string'
      await database.inTenant(key.tenant, (tx) =>
        succeeded
          ? finishIdempotencyKey(tx, key, { status: reply.statusCode, body: payload })
          : releaseIdempotencyKey(tx, key),
      )
      return payload
    },
  }
}

/** What must be the same in a repetition: the address, how the body is read, and the body. */
function fingerprintOf(request: FastifyRequest): Buffer {
  const hash = createHash('sha256')
  hash.update(`${request.url}\n${request.headers['content-type'] ?? ''}\n`)
  for (const name of ['ce-id', 'ce-source', 'ce-type', 'carillon-lane']) {
    hash.update(`${name}:${String(request.headers[name] ?? '')}\n`)
  }
  const bytes = Buffer.isBuffer(request.body) ? request.body : ''
  return hash.update(request.bodyText ?? bytes).digest()
}
