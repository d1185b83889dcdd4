import type { ChannelSettings } from '@carillon/channels'
import { STREAMS } from '@carillon/contracts'
import {
  assertTopology,
  type Connection,
  createPublisher,
  createWindowPublisher,
  streamState,
} from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { RedisConnection } from '@carillon/redis'
import { assertReach, type ProcessDeps, type Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import { answerChannelRules } from './answers/channel-rules.js'
import { answerInboxQuestions } from './answers/on-inbox-questions.js'
import { answerStanding } from './answers/standing.js'
import { createTrail } from './audit.js'
import { createAuthenticator } from './authenticate.js'
import type { GatewayConfig } from './config.js'
import { createCredentialChecks } from './credential-checks.js'
import { addEdge } from './edge.js'
import type { EdgeDeps, Position } from './edge-deps.js'
import { createGatewayEvents } from './events.js'
import { createGuard } from './guard.js'
import { createLocalLimiter } from './limits.js'
import { createLivePosition } from './live-position.js'
import { createOutbox } from './outbox.js'
import { createRooms } from './rooms/rooms.js'
import { createSharedLimiter } from './shared-limits.js'

export interface GatewayDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the request login. */
  database: Database
  http: FastifyInstance
  /** Where LIVE stands at this moment, in the terms of the realtime role. The stream's head unless given. */
  position?: () => Promise<Position | undefined>
  /** Where all gateways count requests together; without it this process counts for itself. */
  redis?: RedisConnection
  now?: () => number
}

/** Adds the HTTP API to `http`. Closes nothing it was given; the server is listened on and closed by who opened it. */
export async function start(config: GatewayConfig, deps: GatewayDeps): Promise<Service> {
  const { connection, database, http, now = Date.now } = deps
  assertReach(config)
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
  const limiter = deps.redis === undefined ? createLocalLimiter(now) : createSharedLimiter(deps.redis, now)
  const guard = createGuard({ config, authenticator, limiter, trail, events })
  const edge: EdgeDeps = {
    database,
    publisher,
    outbox,
    trail,
    authenticator,
    events,
    spend: guard.spend,
    position: deps.position ?? createLivePosition(connection, now),
    credentialChecks: createCredentialChecks({
      ...(config.providerSettings as ChannelSettings),
      mailRelays: config.mailRelays,
    }),
    rooms: createRooms({ connection, database, frames, now }),
    masterKey: Buffer.from(config.masterKey, 'base64url'),
    receiptKey: Buffer.from(config.receiptKey, 'base64url'),
    publicUrl: config.publicUrl,
    now,
  }
  await addEdge(http, { config, edge, guard })
  const onFailure = (error: unknown, subject: string) => events.answerFailed(subject, error)
  const answering = [
    answerInboxQuestions({ connection, edge, authenticator, guard, events }),
    answerChannelRules({ connection, database, onFailure }),
    answerStanding({ connection, database, onFailure }),
  ]
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
      await Promise.all(answering.map((questions) => questions.drain()))
      await connection.flush()
    },
    async [Symbol.asyncDispose]() {
      for (const remove of removeChecks) remove()
      await Promise.all(answering.map((questions) => questions.drain()))
      await publisher[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
    },
  }
}
