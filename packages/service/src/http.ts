import { randomUUID } from 'node:crypto'
import { PROBLEM_TYPE } from '@carillon/contracts'
import underPressure from '@fastify/under-pressure'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { Health } from './health.js'
import type { Logger } from './logger.js'
import type { Metrics } from './metrics.js'
import { HttpProblem, problemBody, toProblem } from './problem.js'

/** Bytes of a request body; the edge may allow more for a route. */
const BODY_LIMIT = 256 * 1024

/** Bytes of one part of a path: an id of 256 characters, percent-encoded. What is longer is answered 414. */
const PATH_PART_LIMIT = 3 * 1024

/** Connections that may wait to be accepted: what does not fit tries again after a second or more. The kernel's own limit counts too. */
const BACKLOG = 4_096

const CORRELATION = /^[A-Za-z0-9._:-]{1,128}$/

export interface HttpServerOptions {
  logger: Logger
  metrics: Metrics
  health: Health
  /** Exact CIDRs of proxies whose X-Forwarded-* headers are believed. None by default. */
  trustProxy?: string[]
  /** Event-loop delay in milliseconds over which new requests are answered 503. */
  maxEventLoopDelayMs?: number
}

/**
 * A Fastify server with what every edge of ours has: problem+json, correlation ids, timeouts, size limits, load
 * shedding, `/health/live`, `/health/ready` and `/metrics`. Routes are added by the roles; nothing listens yet.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: PATH_PART_LIMIT },
    requestTimeout: 15_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 72_000,
    trustProxy: options.trustProxy ?? false,
    forceCloseConnections: true,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: (request) => correlationId(request.headers['x-correlation-id']),
    // refuse what isn't in a schema and coerce nothing: a silent repair hides the sender's mistake
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: true, allErrors: true },
    },
  })
  // with loop-delay sampling only: heap limits belong to the container
  await app.register(underPressure, {
    maxEventLoopDelay: options.maxEventLoopDelayMs ?? 1_000,
    pressureHandler: () => {
      throw new HttpProblem(503, 'OVERLOADED', 'Too much to do at this moment. Try again shortly.', {
        headers: { 'retry-after': '1' },
      })
    },
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-correlation-id', request.id)
  })
  app.setErrorHandler((error, request, reply) => answerProblem(error, request, reply, options.logger))
  app.setNotFoundHandler((request, reply) =>
    answerProblem(
      new HttpProblem(
        404,
        'NOT_FOUND',
        `There is nothing at ${request.method} ${request.url.split('?', 1)[0]}.`,
      ),
      request,
      reply,
      options.logger,
    ),
  )
  addOperations(app, options)
  return app
}

function addOperations(app: FastifyInstance, { health, metrics }: HttpServerOptions): void {
  app.get('/health/live', { schema: { hide: true } as object }, async () => ({ ok: true }))
  app.get('/health/ready', { schema: { hide: true } as object }, async (_request, reply) => {
    const report = await health.report()
    return reply.code(report.ok ? 200 : 503).send(report)
  })
  app.get('/metrics', { schema: { hide: true } as object }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.render()),
  )
}

function correlationId(header: string | string[] | undefined): string {
  return typeof header === 'string' && CORRELATION.test(header) ? header : randomUUID()
}

function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  const problem = toProblem(error)
  if (problem.status >= 500 && problem.code === 'INTERNAL') {
    logger.error(
      { correlationId: request.id, method: request.method, path: request.routeOptions.url, err: error },
      'request.failed',
    )
  }
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .type(PROBLEM_TYPE)
    .send(
      problemBody(problem.status, problem.code, problem.message, {
        field: problem.field,
        correlationId: request.id,
        errors: problem.errors,
      }),
    )
}

/** Listens and gives the address as people type it. Port 0 takes a free one. */
export async function listen(app: FastifyInstance, address: { host: string; port: number }): Promise<string> {
  return app.listen({ host: address.host, port: address.port, backlog: BACKLOG })
}
