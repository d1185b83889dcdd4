import { integerKey, textKey } from '@carillon/service'
import { type Static, Type } from 'typebox'

/** Everything the audit consumer can be told. */
export const AuditConfig = Type.Object({
  batchSize: integerKey({
    env: 'CARILLON_AUDIT_BATCH',
    description: 'Most facts written together.',
    default: 500,
    minimum: 1,
    maximum: 5000,
  }),
})
export type AuditConfig = Readonly<Static<typeof AuditConfig>>

/** Where an audit consumer that runs alone finds its engines. */
export const AuditEngines = Type.Object({
  natsUrl: textKey({ env: 'NATS_URL', description: 'Address of NATS, like nats://127.0.0.1:4222.' }),
  databaseUrl: textKey({
    env: 'DATABASE_WORKER_URL',
    description: 'PostgreSQL with the login of the worker role.',
    secret: true,
  }),
})
