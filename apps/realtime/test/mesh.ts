import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  askSubject,
  type ChannelPermission,
  type ChannelRule,
  DEFAULT_CHANNEL_RULE,
  type Frame,
  frameSubject,
  STREAMS,
  userId,
} from '@carillon/contracts'
import {
  answerQuestions,
  applyTopology,
  type Connection,
  createWindowPublisher,
  loadTopology,
  openConnection,
  subscribeCore,
} from '@carillon/jetstream'
import { openRedis } from '@carillon/redis'
import {
  createHealth,
  createHttpServer,
  createLogger,
  createMetrics,
  type Health,
  listen,
  type Metrics,
  type Service,
  sha256,
} from '@carillon/service'
import { type TestScope, useNats } from '@carillon/testkit'
import { SignJWT } from 'jose'
import { configSchema, type RealtimeConfig, start } from '../src/index.js'

/** How long an official client waits for an answer: longer than a busy machine stands still. */
export const PATIENT_MS = 40_000
export const TOKEN_KEY = Buffer.alloc(32, 7).toString('base64url')
const key = Buffer.from(TOKEN_KEY, 'base64url')
const topologyFile = new URL('../../../../nats/topology.yaml', import.meta.url)

export type Nats = Awaited<ReturnType<typeof useNats>>

/** A nats-server with the real topology. `live` is YAML merged over LIVE's settings. */
export async function useLive(t: TestScope, live = ''): Promise<{ nats: Nats; connection: Connection }> {
  const nats = await useNats(t)
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  t.teardown(() => connection.close())
  await applyLive(connection, live)
  return { nats, connection }
}

/** Sets LIVE as the topology has it, with `live` over it. */
export async function applyLive(connection: Connection, live = ''): Promise<void> {
  const overlays = live === '' ? [] : [`streams:\n  LIVE: { ${live} }\n`]
  const topology = loadTopology(await readFile(topologyFile, 'utf8'), overlays)
  await applyTopology(connection, { streams: topology.streams.filter(({ name }) => name === STREAMS.live) })
}

export interface RealtimeNode {
  url: string
  metrics: Metrics
  health: Health
  service: Service
  /** What it answers to, as `GET /v1/sse`. */
  routes: readonly string[]
  /** Resolves when the server knows of all that this node listens to at this moment. */
  flush(): Promise<void>
  /** The NATS connections go, as when the process is killed; then the rest is closed. */
  stop(): Promise<void>
}

/** One realtime process' worth: its own connections, HTTP server and routes. */
export async function useNode(
  t: TestScope,
  servers: string,
  overrides: Partial<RealtimeConfig> & { maxEventLoopDelayMs?: number } = {},
  redisUrl?: string,
): Promise<RealtimeNode> {
  const { maxEventLoopDelayMs = 10_000, ...settings } = overrides
  const logger = createLogger({ name: 'realtime', level: 'silent' })
  const metrics = createMetrics()
  const health = createHealth()
  const connection = await openConnection({ servers, name: 'realtime' })
  const recoveryConnection = await openConnection({ servers, name: 'realtime-recovery' })
  // patient, so that a busy machine is not taken for a Redis that is away
  const patience = { name: 'realtime', commandTimeoutMs: 10_000 }
  const redis = redisUrl === undefined ? undefined : await openRedis({ url: redisUrl, ...patience })
  const http = await createHttpServer({ logger, metrics, health, maxEventLoopDelayMs })
  const routes: string[] = []
  http.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push(`${one} ${url}`)
  })
  const service = await start(config(settings), {
    logger,
    metrics,
    health,
    http,
    connection,
    recoveryConnection,
    ...(redis === undefined ? {} : { redis }),
  })
  const flush = () => connection.flush()
  await flush()
  const url = await listen(http, { host: '127.0.0.1', port: 0 })
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= (async () => {
      await service[Symbol.asyncDispose]()
      await http.close()
      await redis?.[Symbol.asyncDispose]()
      await recoveryConnection.close()
      await connection.close()
    })()
    return stopped
  }
  t.teardown(stop)
  return { url, metrics, health, service, routes, flush, stop }
}

export function config(overrides: Partial<RealtimeConfig> = {}): RealtimeConfig {
  const defaults = Object.fromEntries(
    Object.entries(configSchema.properties).map(([name, property]) => [
      name,
      (property as { default?: unknown }).default,
    ]),
  )
  return { ...(defaults as RealtimeConfig), tokenKey: TOKEN_KEY, connectsPerSecond: 5_000, ...overrides }
}

export interface TokenClaims {
  tenant?: string
  user?: string
  rooms?: string[]
  channels?: Record<string, ChannelPermission[]>
  /** Makes it a token for one channel. */
  channel?: string
  permissions?: ChannelPermission[]
  expiresInSeconds?: number
  issuer?: string
  audience?: string
  key?: Uint8Array
}

export function signToken(claims: TokenClaims = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1_000)
  const { channels, channel, permissions } = claims
  return new SignJWT({
    tid: claims.tenant ?? 'acme',
    roles: [],
    rooms: claims.rooms ?? [],
    ...(channels === undefined ? {} : { channels }),
    ...(channel === undefined ? {} : { channel, permissions }),
  })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(claims.user ?? 'anna')
    .setIssuer(claims.issuer ?? 'carillon')
    .setAudience(claims.audience ?? 'carillon')
    .setIssuedAt(now)
    .setExpirationTime(now + (claims.expiresInSeconds ?? 600))
    .sign(claims.key ?? key)
}

export function personal(user = 'anna', tenant = 'acme'): string {
  return frameSubject(tenant, 'user', userId(sha256, tenant, user))
}

export function room(id: string, tenant = 'acme'): string {
  return frameSubject(tenant, 'room', id)
}

export interface Writer {
  /** Stores frames `n`, one after the other, and gives their sequences. */
  write(subject: string, numbers: readonly number[], padding?: number): Promise<number[]>
}

export function createWriter(t: TestScope, connection: Connection): Writer {
  const publisher = createWindowPublisher(connection, { stream: STREAMS.live, giveUpMs: 120_000 })
  t.teardown(() => publisher[Symbol.asyncDispose]())
  return {
    write: (subject, numbers, padding = 0) =>
      Promise.all(
        numbers.map((n) =>
          publisher.publish({ subject, body: frameOf(n, padding), messageId: randomUUID() }),
        ),
      ),
  }
}

/** A frame that carries a number, so that loss, doubling and order show. */
export function frameOf(n: number, padding = 0): string {
  const frame: Frame = {
    type: 'notification.created',
    id: `n-${n}`,
    notification: {
      id: `n-${n}`,
      workflow: 'test',
      category: null,
      title: `number ${n}`,
      subtitle: null,
      body: 'x'.repeat(padding),
      picture: null,
      url: null,
      actions: [],
      data: { n },
      lane: 'normal',
      createdAt: '2026-01-01T00:00:00.000Z',
      seenAt: null,
      readAt: null,
      archivedAt: null,
      snoozedUntil: null,
      revision: 0,
    },
  }
  return JSON.stringify(frame)
}

/** The number inside a frame, or inside a room's publication of one. */
export function numberOf(frame: unknown): number {
  const { data } = frame as { data?: unknown }
  const { notification } = (data ?? frame) as { notification: { data: { n: number } } }
  return notification.data.n
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** Answers for the rules of the tenant acme, as the gateway does, from when it resolves. */
export async function answerRules(
  t: TestScope,
  connection: Connection,
  rules: (Partial<ChannelRule> & { namespace: string })[],
): Promise<void> {
  const whole = rules.map((rule) => ({ ...DEFAULT_CHANNEL_RULE, ...rule }))
  const answering = answerQuestions(
    connection,
    askSubject('channel-rules', 'acme'),
    {
      queue: 'gateway',
      onFailure: (error) => {
        throw error
      },
    },
    () => ({ rules: whole }),
  )
  t.teardown(() => answering.drain())
  await connection.flush()
}

/**
 * How often somebody has looked at LIVE's head since. A node does once when it opens a channel and twice to check it, if
 * the first message that it hears is not the first of its subject.
 */
export async function countLooks(connection: Connection): Promise<() => number> {
  let looks = 0
  subscribeCore(connection, `$JS.API.STREAM.INFO.${STREAMS.live}`, () => looks++)
  await connection.flush()
  return () => looks
}
