import { integerKey, listKey, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/**
 * For the HTTP server of a process that does nothing but realtime. While thousands come back one turn of the event loop
 * takes seconds, and who is refused for that comes again: who may begin is for admission to say. What has waited longer
 * than this its client has given up (`centrifuge` after 5 s).
 */
export const MAX_EVENT_LOOP_DELAY_MS = 5_000

export const configSchema = Type.Object({
  natsUrl: textKey({
    env: 'NATS_URL',
    description: 'address of NATS, nats://host:port',
    default: 'nats://127.0.0.1:4222',
  }),
  redisUrl: Type.Optional(
    textKey({
      env: 'REDIS_URL',
      description: 'address of Redis or Valkey; without it nobody is present and there are no tickets',
      secret: true,
    }),
  ),
  host: textKey({ env: 'CARILLON_HOST', description: 'address to listen on', default: '127.0.0.1' }),
  port: integerKey({
    env: 'CARILLON_PORT',
    description: 'port to listen on, 0 for any free one',
    default: 8080,
    minimum: 0,
    maximum: 65_535,
  }),
  tokenKey: textKey({
    env: 'CARILLON_TOKEN_KEY',
    description: 'key of user tokens, base64url of at least 32 bytes',
    secret: true,
    minLength: 43,
  }),
  allowedOrigins: listKey({
    env: 'CARILLON_ALLOWED_ORIGINS',
    description: 'origins of web pages that may connect, besides our own address',
    default: [],
  }),
  logLevel: textKey({ env: 'CARILLON_LOG_LEVEL', description: "pino's level", default: 'info' }),
  maxConnectionsPerUser: integerKey({
    env: 'CARILLON_REALTIME_CONNECTIONS_PER_USER',
    description: 'open connections one user may have on this node',
    default: 32,
    minimum: 1,
  }),
  connectsPerSecond: integerKey({
    env: 'CARILLON_REALTIME_CONNECTS_PER_SECOND',
    description: 'connections that may begin per second; more are asked to come back',
    default: 4_000,
    minimum: 1,
  }),
  maxQueuedBytes: integerKey({
    env: 'CARILLON_REALTIME_MAX_QUEUED_BYTES',
    description: 'bytes a client may leave unread before it is disconnected',
    default: 1_048_576,
    minimum: 65_536,
  }),
  heartbeatSeconds: integerKey({
    env: 'CARILLON_REALTIME_HEARTBEAT_SECONDS',
    description: 'seconds between pings to one connection',
    default: 25,
    minimum: 1,
    maximum: 120,
  }),
  rotateSeconds: integerKey({
    env: 'CARILLON_REALTIME_ROTATE_SECONDS',
    description: 'seconds after which an SSE connection is asked to come back, give or take a fifth',
    default: 600,
    minimum: 10,
  }),
  lingerSeconds: integerKey({
    env: 'CARILLON_REALTIME_LINGER_SECONDS',
    description: 'seconds a channel stays in memory after its last client',
    default: 60,
    minimum: 1,
  }),
  checkSeconds: integerKey({
    env: 'CARILLON_REALTIME_CHECK_SECONDS',
    description: 'seconds between comparisons of a channel with the stream',
    default: 40,
    minimum: 1,
  }),
})

export type RealtimeConfig = Readonly<Static<typeof configSchema>>
