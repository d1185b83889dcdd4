import { STREAMS } from '@carillon/contracts'
import { assertTopology, type Connection } from '@carillon/jetstream'
import type { Health, Logger, Metrics, Service } from '@carillon/service'
import type { FastifyInstance } from 'fastify'
import { TokenVerifier } from './access/identity.js'
import { Connections } from './clients/connections.js'
import { Flusher } from './clients/output.js'
import { Wheel } from './clients/wheel.js'
import type { RealtimeConfig } from './config.js'
import { createEvents } from './events.js'
import { onSse } from './routes/on-sse.js'
import { onWebSocket } from './routes/on-websocket.js'
import { Hub } from './stream/hub.js'
import { createLiveSource } from './stream/live-source.js'

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
}

const RECOVERY_CONCURRENCY = 64
const RING_FRAMES = 128
const RING_BYTES = 64 * 1024
const FIRST_CHECK_MS = 1_000
const AUTHENTICATE_WITHIN_MS = 10_000
const MAX_CHANNELS = 128
const WHEEL_TICKS = 25
const DRAIN_TIMEOUT_MS = 10_000

/**
 * Adds the SSE and WebSocket routes and feeds them from LIVE. Closes neither the connections nor the HTTP server.
 * @throws TopologyError `MISSING` when LIVE is not there
 */
export async function start(config: RealtimeConfig, deps: RealtimeDeps): Promise<Service> {
  const { connection, recoveryConnection, health, http, logger, metrics } = deps
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
  const wheel = new Wheel({ roundMs: config.heartbeatSeconds * 1_000, ticks: WHEEL_TICKS, now })
  const connections = new Connections(
    {
      perUser: config.maxConnectionsPerUser,
      connectsPerSecond: config.connectsPerSecond,
      connectBurst: config.connectsPerSecond * 2,
    },
    { wheel, flusher: new Flusher(), now },
  )
  const edge = {
    hub,
    connections,
    verifier: new TokenVerifier(config.tokenKey, now),
    events,
    allowedOrigins: new Set(config.allowedOrigins),
    maxQueuedBytes: config.maxQueuedBytes,
    now,
  }
  onSse(http, { rotateMs: config.rotateSeconds * 1_000 }, edge)
  await onWebSocket(
    http,
    {
      authenticateWithinMs: AUTHENTICATE_WITHIN_MS,
      pingSeconds: config.heartbeatSeconds,
      maxChannels: MAX_CHANNELS,
    },
    edge,
  )
  addGauges(metrics, connections, hub)
  const removeCheck = health.add('realtime', () => (connections.draining ? 'draining' : hub.problem()))
  return createService({ connections, hub, wheel, removeCheck, drained: events.drained })
}

function addGauges(metrics: Metrics, connections: Connections, hub: Hub): void {
  metrics.gauge({
    name: 'carillon_realtime_connections',
    help: 'Open connections.',
    labels: ['transport'],
    collect: (gauge) => {
      for (const transport of ['sse', 'websocket'] as const) {
        gauge.set({ transport }, connections.count(transport))
      }
    },
  })
  metrics.gauge({
    name: 'carillon_realtime_channels',
    help: 'Channels held by this node.',
    collect: (gauge) => gauge.set(hub.channels),
  })
}

function createService(parts: {
  connections: Connections
  hub: Hub
  wheel: Wheel
  removeCheck: () => void
  drained: (connections: number, ms: number) => void
}): Service {
  const { connections, hub, wheel, removeCheck, drained } = parts
  let draining: Promise<void> | undefined
  const drain = async () => {
    const begun = performance.now()
    const count = connections.count('sse') + connections.count('websocket')
    await connections.drain(DRAIN_TIMEOUT_MS)
    drained(count, Math.round(performance.now() - begun))
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
      wheel.stop()
      await hub[Symbol.asyncDispose]()
      removeCheck()
    },
  }
}
