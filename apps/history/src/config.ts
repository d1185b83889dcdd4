import { integerKey, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** Everything the history consumer can be told. */
export const HistoryConfig = Type.Object({
  batchSize: integerKey({
    env: 'CARILLON_HISTORY_BATCH',
    description: 'Most receipts written together.',
    default: 500,
    minimum: 1,
    maximum: 5000,
  }),
})
export type HistoryConfig = Readonly<Static<typeof HistoryConfig>>

/** Where a history consumer that runs alone finds its engines. */
export const HistoryEngines = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS, like nats://127.0.0.1:4222.' }),
  databaseUrl: textKey({
    env: 'DATABASE_WORKER_URL',
    description: 'PostgreSQL with the login of the worker role.',
    secret: true,
  }),
})
