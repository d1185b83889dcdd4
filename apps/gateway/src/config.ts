import { integerKey, listKey, PROVIDER_REACH, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** Everything the gateway can be told. Keys are base64url. */
export const GatewayConfig = Type.Object({
  tokenKey: textKey({
    env: 'CARILLON_TOKEN_KEY',
    description: 'HS256 key of user tokens, at least 32 bytes as base64url.',
    secret: true,
    minLength: 43,
  }),
  masterKey: textKey({
    env: 'CARILLON_MASTER_KEY',
    description: 'Seals provider credentials: 32 bytes as base64url.',
    secret: true,
    minLength: 43,
  }),
  receiptKey: textKey({
    env: 'CARILLON_RECEIPT_KEY',
    description: 'Signs receipt tokens and unsubscribe links: 32 bytes as base64url.',
    secret: true,
    minLength: 43,
  }),
  ...PROVIDER_REACH,
  environment: textKey({
    env: 'CARILLON_ENVIRONMENT',
    description: 'production or development; other endpoints of providers are refused in production.',
    default: 'production',
  }),
  allowedOrigins: listKey({
    env: 'CARILLON_ALLOWED_ORIGINS',
    description: 'Origins whose pages may call the API, comma-separated. None unless said.',
    default: [],
  }),
  publicUrl: textKey({
    env: 'CARILLON_PUBLIC_URL',
    description: 'Address under which people reach this installation.',
    default: 'http://127.0.0.1:8080',
  }),
  keyRequestsPerMinute: integerKey({
    env: 'CARILLON_LIMIT_KEY',
    description: 'Requests of one API key within a minute.',
    default: 300_000,
    minimum: 1,
  }),
  userRequestsPerMinute: integerKey({
    env: 'CARILLON_LIMIT_USER',
    description: 'Requests of one signed-in person within a minute.',
    default: 600,
    minimum: 1,
  }),
  tenantRequestsPerMinute: integerKey({
    env: 'CARILLON_LIMIT_TENANT',
    description: 'Requests of one tenant within a minute, whoever sends them.',
    default: 600_000,
    minimum: 1,
  }),
  tenantMessagesPerMinute: integerKey({
    env: 'CARILLON_LIMIT_MESSAGES',
    description:
      'Events, triggers, notifications and publications of one tenant within a minute, each of a batch counted. A batch is one request to the other limits.',
    default: 3_000_000,
    minimum: 1,
  }),
  callbackRequestsPerMinute: integerKey({
    env: 'CARILLON_LIMIT_CALLBACK',
    description: 'Status callbacks of one network address within a minute: a provider has few addresses.',
    default: 60_000,
    minimum: 1,
  }),
  addressRequestsPerMinute: integerKey({
    env: 'CARILLON_LIMIT_ADDRESS',
    description: 'Anonymous and unauthenticated requests of one network address within a minute.',
    default: 600,
    minimum: 1,
  }),
})
export type GatewayConfig = Readonly<Static<typeof GatewayConfig>>

/** Where a gateway that runs alone finds its engines and where it listens. */
export const GatewayEngines = Type.Object({
  natsUrl: textKey({
    env: 'NATS_URL',
    description: 'Address of nats-server.',
    default: 'nats://127.0.0.1:4222',
  }),
  databaseUrl: textKey({
    env: 'DATABASE_URL',
    description: 'PostgreSQL address of the request login.',
    secret: true,
  }),
  redisUrl: Type.Optional(
    textKey({
      env: 'REDIS_URL',
      description: 'Where all gateways count requests together; without it each counts for itself.',
      secret: true,
    }),
  ),
  host: textKey({ env: 'CARILLON_HOST', description: 'Address to listen on.', default: '127.0.0.1' }),
  port: integerKey({
    env: 'CARILLON_PORT',
    description: 'Port to listen on; 0 takes a free one.',
    default: 8080,
    minimum: 0,
    maximum: 65535,
  }),
  trustProxy: listKey({
    env: 'CARILLON_TRUST_PROXY',
    description: 'Exact CIDRs of proxies whose X-Forwarded-* headers are believed.',
    default: [],
  }),
})
