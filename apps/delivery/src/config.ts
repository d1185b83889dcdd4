import { integerKey, listKey, PROVIDER_REACH, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** Everything a delivery worker can be told. */
export const DeliveryConfig = Type.Object({
  channels: listKey({
    env: 'CARILLON_DELIVERY_CHANNELS',
    description: 'Channels that this worker serves: push, email, sms, webhook.',
    default: ['push', 'email', 'sms', 'webhook'],
  }),
  batchSize: integerKey({
    env: 'CARILLON_DELIVERY_BATCH',
    description: 'Most jobs taken together.',
    default: 200,
    minimum: 1,
    maximum: 1000,
  }),
  leaseMs: integerKey({
    env: 'CARILLON_DELIVERY_LEASE_MS',
    description: 'How long an attempt may take before another worker may try again.',
    default: 60_000,
    minimum: 500,
  }),
  retryBaseMs: integerKey({
    env: 'CARILLON_RETRY_BASE_MS',
    description: 'Delay of the first retry; doubles with each one, with full jitter.',
    default: 2_000,
    minimum: 10,
  }),
  holdMs: integerKey({
    env: 'CARILLON_HOLD_MS',
    description: 'How long a provider whose credentials were refused is left alone.',
    default: 60_000,
    minimum: 100,
  }),
  masterKey: textKey({
    env: 'CARILLON_MASTER_KEY',
    description: 'Opens provider credentials: 32 bytes as base64url.',
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
  publicUrl: Type.Optional(
    textKey({
      env: 'CARILLON_PUBLIC_URL',
      description:
        'Address under which people reach the gateway, with https; unsubscribe links of mails and status callbacks of texts lead there. Without it there are none.',
    }),
  ),
  environment: textKey({
    env: 'CARILLON_ENVIRONMENT',
    description: 'production or development; fail-points and other endpoints are refused in production.',
    default: 'production',
  }),
})
export type DeliveryConfig = Readonly<Static<typeof DeliveryConfig>>

/** Where a worker that runs alone finds its engines. */
export const DeliveryEngines = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS, like nats://127.0.0.1:4222.' }),
  databaseUrl: textKey({
    env: 'DATABASE_WORKER_URL',
    description: 'PostgreSQL with the login of the worker role.',
    secret: true,
  }),
})
