import { STREAMS } from '@carillon/contracts'
import {
  assertTopology,
  type Connection,
  createPublisher,
  createWindowPublisher,
  streamState,
} from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { ProcessDeps, Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import { createTrail } from './audit.js'
import { createAuthenticator } from './authenticate.js'
import type { GatewayConfig } from './config.js'
import { addEdge } from './edge.js'
import type { EdgeDeps, Position } from './edge-deps.js'
import { createGatewayEvents } from './events.js'
import { createGuard } from './guard.js'
import { createLocalLimiter, type RateLimiter } from './limits.js'
import { createOutbox } from './outbox.js'

export interface GatewayDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the request login. */
  database: Database
  http: FastifyInstance
  /**
   * Where LIVE stands at this moment, in the terms of the realtime role; without it pages carry no position and
   * clients subscribe before they read.
   */
  position?: () => Promise<Position | undefined>
  /** Shared counters; when they fail, or without them, this process counts for itself. */
  limiter?: RateLimiter
  now?: () => number
}

/** Adds the HTTP API to `http`. Closes nothing it was given; the server is listened on and closed by who opened it. */
export async function start(config: GatewayConfig, deps: GatewayDeps): Promise<Service> {
  const { connection, database, http, now = Date.now } = deps
  await assertTopology(connection, {
    streams: [STREAMS.events, STREAMS.receipts, STREAMS.audit, STREAMS.live],
  })
  const events = createGatewayEvents(deps)
  const publisher = createPublisher(connection, { giveUpMs: 4_000 })
  const frames = createWindowPublisher(connection, { stream: STREAMS.live })
  const trail = createTrail({ database, publisher, events, now })
  const outbox = createOutbox({ database, publisher, frames, events })
  const authenticator = createAuthenticator({
    database,
    tokenKey: Buffer.from(config.tokenKey, 'base64url'),
    now,
  })
  const edge: EdgeDeps = {
    database,
    publisher,
    outbox,
    trail,
    authenticator,
    events,
    position: deps.position ?? (async () => undefined),
    masterKey: Buffer.from(config.masterKey, 'base64url'),
    receiptKey: Buffer.from(config.receiptKey, 'base64url'),
    now,
  }
  const limiter = withFallback(deps.limiter, createLocalLimiter(now), events.limiterFailed)
  const guard = createGuard({ config, authenticator, limiter, trail, events })
  await addEdge(http, { config, edge, guard })
  const removeChecks = [
    deps.health.add('postgres', () => database.health()),
    deps.health.add('nats', async () => {
      if (!connection.connected) return 'not connected'
      await streamState(connection, STREAMS.events)
      return undefined
    }),
  ]
  return {
    name: 'gateway',
    async drain() {
      await connection.flush()
    },
    async [Symbol.asyncDispose]() {
      for (const remove of removeChecks) remove()
      await publisher[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
    },
  }
}

function withFallback(
  shared: RateLimiter | undefined,
  local: RateLimiter,
  onFailure: (error: unknown) => void,
): RateLimiter {
  if (shared === undefined) return local
  return {
    async take(name, policy) {
      try {
        return await shared.take(name, policy)
      } catch (error) {
        onFailure(error)
        return local.take(name, policy)
      }
    },
  }
}
