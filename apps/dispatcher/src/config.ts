import { integerKey, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** Everything the dispatcher can be told. */
export const DispatcherConfig = Type.Object({
  batchSize: integerKey({
    env: 'CARILLON_DISPATCH_BATCH',
    description: 'Most events judged in one transaction.',
    default: 500,
    minimum: 1,
    maximum: 5000,
  }),
  concurrency: integerKey({
    env: 'CARILLON_DISPATCH_CONCURRENCY',
    description: 'Batches in flight per lane.',
    default: 2,
    minimum: 1,
    maximum: 16,
  }),
  respoolAfterMs: integerKey({
    env: 'CARILLON_RESPOOL_AFTER_MS',
    description: 'How long a queued delivery waits before somebody asks whether its job ever came.',
    default: 60_000,
    minimum: 100,
  }),
  refusedAgainMs: integerKey({
    env: 'CARILLON_REFUSED_AGAIN_MS',
    description: 'How soon a job that found no room in its stream is tried again.',
    default: 2_000,
    minimum: 50,
  }),
  wakeEveryMs: integerKey({
    env: 'CARILLON_WAKE_EVERY_MS',
    description: 'How often the waker looks for what is due.',
    default: 500,
    minimum: 20,
  }),
  maxAttempts: integerKey({
    env: 'CARILLON_MAX_ATTEMPTS',
    description: 'Tries at a provider per delivery, unless the workflow says otherwise.',
    default: 3,
    minimum: 1,
    maximum: 10,
  }),
  retainDays: integerKey({
    env: 'CARILLON_RETAIN_DAYS',
    description: 'Days that events, runs and deliveries are kept.',
    default: 30,
    minimum: 1,
  }),
  environment: textKey({
    env: 'CARILLON_ENVIRONMENT',
    description: 'production or development; fail-points are refused in production.',
    default: 'production',
  }),
})
export type DispatcherConfig = Readonly<Static<typeof DispatcherConfig>>

/** Where a dispatcher that runs alone finds its engines. */
export const DispatcherEngines = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS, like nats://127.0.0.1:4222.' }),
  databaseUrl: textKey({
    env: 'DATABASE_WORKER_URL',
    description: 'PostgreSQL with the login of the worker role.',
    secret: true,
  }),
  redisUrl: Type.Optional(
    textKey({
      env: 'REDIS_URL',
      description: 'Where realtime says who is online; without it everybody counts as offline.',
      secret: true,
    }),
  ),
})
