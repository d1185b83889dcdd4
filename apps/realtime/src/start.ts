import { randomBytes } from 'node:crypto'
import { askSubject, STREAMS } from '@carillon/contracts'
import { ask, assertTopology, type Connection, createWindowPublisher } from '@carillon/jetstream'
import { createTickets, type RedisConnection } from '@carillon/redis'
import { createRuleBook, createRuleCompiler, readChannelRules } from '@carillon/rooms'
import { describeApi, type Health, type Logger, type Metrics, type Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import { type ChannelAccess, createChannelAccess } from './access/channel-access.js'
import { TokenVerifier } from './access/identity.js'
import { Standing } from './access/standing.js'
import { Budgets } from './clients/budgets.js'
import { Connections, TRANSPORTS } from './clients/connections.js'
import { createInboxCalls } from './clients/inbox-calls.js'
import { loadNativeSend } from './clients/native-send.js'
import { Flusher } from './clients/output.js'
import { Patrol } from './clients/patrol.js'
import { Wheel } from './clients/wheel.js'
import type { RealtimeConfig } from './config.js'
import { createEvents } from './events.js'
import { createRoomPresence } from './presence/create-room-presence.js'
import { createPresencePushes } from './presence/pushes.js'
import type { RoomPresence } from './presence/room-presence.js'
import { createWires } from './protocol/wires.js'
import type { EdgeDeps } from './routes/edge-deps.js'
import { answerAcrossOrigins } from './routes/handshake.js'
import { onEmulation } from './routes/on-emulation.js'
import { onHttpStream } from './routes/on-http-stream.js'
import { onLook } from './routes/on-look.js'
import { onPoll } from './routes/on-poll.js'
import { onPublish } from './routes/on-publish.js'
import { onSse } from './routes/on-sse.js'
import { onTicket, TICKET_TTL_MS } from './routes/on-ticket.js'
import { onWebSocket } from './routes/on-websocket.js'
import { REALTIME_API } from './routes/shapes.js'
import { Hub } from './stream/hub.js'
import { LatestChannels } from './stream/latest.js'
import { createLiveSource } from './stream/live-source.js'
import { createRoomPublisher } from './stream/room-publisher.js'

export interface RealtimeDeps {
  logger: Logger
  metrics: Metrics
  health: Health
  /** Where the routes are added; must not be listening yet. */
  http: FastifyInstance
  /** Carries live messages. */
  connection: Connection
  /** Carries what is read back, so that a storm of returning clients does not delay live messages. */
  recoveryConnection: Connection
  /** Holds who is present and tickets; without it neither is available. */
  redis?: RedisConnection
}

const RECOVERY_CONCURRENCY = 64
/** Reads of rooms for who is not in them: so many at a time, apart from those that bring clients back. */
const LOOK_CONCURRENCY = 16
const RING_FRAMES = 128
const RING_BYTES = 64 * 1024
const FIRST_CHECK_MS = 1_000
const AUTHENTICATE_WITHIN_MS = 10_000
const MAX_CHANNELS = 128
const WHEEL_TICKS = 25
const DRAIN_TIMEOUT_MS = 10_000
/** A room's publication that can't be stored is refused while its client still waits. */
const PUBLISH_GIVE_UP_MS = 3_000

/**
 * Adds the ways in (WebSocket, SSE, streams over HTTP) and feeds them from LIVE. Closes neither the connections nor
 * the HTTP server.
 * @throws TopologyError `MISSING` when LIVE is not there
 */
export async function start(config: RealtimeConfig, deps: RealtimeDeps): Promise<Service> {
  const { connection, recoveryConnection, health, http, logger, metrics, redis } = deps
  const now = Date.now
  await assertTopology(recoveryConnection, { streams: [STREAMS.live] })
  const events = createEvents(logger, metrics)
  const source = createLiveSource(connection, recoveryConnection, { concurrency: RECOVERY_CONCURRENCY })
  const hub = new Hub(
    source,
    {
      ringFrames: RING_FRAMES,
      ringBytes: RING_BYTES,
      lingerMs: config.lingerSeconds * 1_000,
      firstCheckMs: FIRST_CHECK_MS,
      checkMs: config.checkSeconds * 1_000,
      now,
    },
    events.channelHooks,
  )
  const latest = new LatestChannels(source, now)
  const wheel = new Wheel({ roundMs: config.heartbeatSeconds * 1_000, ticks: WHEEL_TICKS, now })
  const connections = new Connections(
    {
      perUser: config.maxConnectionsPerUser,
      connectsPerSecond: config.connectsPerSecond,
      connectBurst: config.connectsPerSecond * 2,
    },
    { wheel, flusher: await createFlusher(logger), now },
  )
  const verifier = new TokenVerifier(config.tokenKey, now)
  const access = createAccess(connection, verifier, now)
  const standing = new Standing({ ask: (subject, question) => ask(connection, subject, question), now })
  const patrol = new Patrol({
    clients: () => connections.all(),
    count: () => connections.size,
    standing,
  })
  const node = randomBytes(8).toString('hex')
  const presence = createRoomPresence(
    { node },
    { connection, ...(redis === undefined ? {} : { redis }), onFailure: events.presenceFailed },
  )
  const edge: EdgeDeps = {
    hub,
    latest,
    tickets: redis && createTickets(redis, { purpose: 'sse', ttlMs: TICKET_TTL_MS, use: 'session' }),
    connections,
    verifier,
    access,
    standing,
    presence,
    events,
    budgets: new Budgets(now),
    allowedOrigins: new Set(config.allowedOrigins),
    maxQueuedBytes: config.maxQueuedBytes,
    now,
  }
  const frames = createWindowPublisher(connection, { stream: STREAMS.live, giveUpMs: PUBLISH_GIVE_UP_MS })
  const publisher = createRoomPublisher(connection, frames)
  const protocol = {
    ...edge,
    wires: createWires(),
    sessions: new Map(),
    limits: {
      authenticateWithinMs: AUTHENTICATE_WITHIN_MS,
      pingSeconds: config.heartbeatSeconds,
      maxChannels: MAX_CHANNELS,
      node,
    },
    commands: {
      hub,
      latest,
      connections,
      verifier,
      access,
      standing,
      presence,
      presencePushes: createPresencePushes(presence),
      publisher,
      inbox: createInboxCalls((subject, question) => ask(connection, subject, question)),
      now,
      onAttached: events.attached,
    },
  }
  await describeApi(http, REALTIME_API)
  answerAcrossOrigins(http, edge.allowedOrigins)
  onSse(http, { rotateMs: config.rotateSeconds * 1_000 }, edge)
  onPoll(http, edge)
  onTicket(http, edge)
  onPublish(http, publisher, edge)
  onLook(http, createLiveSource(connection, recoveryConnection, { concurrency: LOOK_CONCURRENCY }), edge)
  await onWebSocket(http, protocol)
  await onHttpStream(http, protocol)
  const emulation = await onEmulation(http, connection, protocol)
  addGauges(metrics, { connections, hub, presence })
  const removeCheck = health.add('realtime', () => (connections.draining ? 'draining' : hub.problem()))
  return createService({
    connections,
    drained: events.drained,
    async stop() {
      await emulation.drain()
      patrol.stop()
      wheel.stop()
      await presence[Symbol.asyncDispose]()
      await hub[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
      removeCheck()
    },
  })
}

function createAccess(connection: Connection, verifier: TokenVerifier, now: () => number): ChannelAccess {
  return createChannelAccess({
    rules: createRuleBook({
      compiler: createRuleCompiler(),
      read: async (tenant) =>
        readChannelRules(await ask(connection, askSubject('channel-rules', tenant), {})),
      now,
    }),
    verifyChannel: (token) => verifier.verifyChannel(token),
    ask: (subject, question) => ask(connection, subject, question),
    now,
  })
}

function addGauges(
  metrics: Metrics,
  { connections, hub, presence }: { connections: Connections; hub: Hub; presence: RoomPresence },
): void {
  metrics.gauge({
    name: 'realtime_connections',
    help: 'Open connections.',
    labels: ['transport'],
    collect: (gauge) => {
      for (const transport of TRANSPORTS) gauge.set({ transport }, connections.count(transport))
    },
  })
  metrics.gauge({
    name: 'realtime_channels',
    help: 'Channels held by this node.',
    collect: (gauge) => gauge.set(hub.channels),
  })
  metrics.gauge({
    name: 'realtime_places',
    help: 'Places in rooms that connections of this node hold.',
    collect: (gauge) => gauge.set(presence.places),
  })
}

function createService(parts: {
  connections: Connections
  drained: (connections: number, ms: number) => void
  stop: () => Promise<void>
}): Service {
  const { connections } = parts
  let draining: Promise<void> | undefined
  const drain = async () => {
    const begun = performance.now()
    const count = TRANSPORTS.reduce((sum, transport) => sum + connections.count(transport), 0)
    await connections.drain(DRAIN_TIMEOUT_MS)
    parts.drained(count, Math.round(performance.now() - begun))
  }
  return {
    name: 'realtime',
    drain() {
      draining ??= drain()
      return draining
    },
    async [Symbol.asyncDispose]() {
      draining ??= drain()
      await draining
      await parts.stop()
    },
  }
}

async function createFlusher(logger: RealtimeDeps['logger']): Promise<Flusher> {
  const send = await loadNativeSend()
  if (typeof send !== 'string') return new Flusher(send)
  logger.info({ reason: send }, 'messages go through streams: a fan-out costs up to a quarter more')
  return new Flusher()
}
