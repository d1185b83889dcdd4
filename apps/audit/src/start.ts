import { DURABLES, STREAMS } from '@carillon/contracts'
import { assertTopology, type Connection, consume } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { ProcessDeps, Service } from '@carillon/service'
import type { AuditConfig } from './config.js'
import { createAuditEvents } from './events.js'
import { createOnFacts } from './on-facts.js'

export interface AuditDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the worker's login. */
  database: Database
}

/** Starts the audit consumer. Closes nothing it was given. */
export async function start(config: AuditConfig, deps: AuditDeps): Promise<Service> {
  const { connection, database } = deps
  const durable = { stream: STREAMS.audit, durable: DURABLES.audit }
  await assertTopology(connection, { durables: [durable] })
  const events = createAuditEvents(deps)
  // one batch at a time: the chain follows the stream
  const consumption = consume(
    connection,
    { ...durable, batch: config.batchSize, concurrency: 1 },
    createOnFacts({ database, events }),
    {
      onFailure: (error) => events.failed('facts', error),
      onMissing: (error) => events.failed('topology', error),
      onDead: (message, reason) => deps.logger.warn({ subject: message.subject, reason }, 'fact.dead'),
    },
  )
  const removeCheck = deps.health.add('audit', () =>
    consumption.stats().bound ? undefined : 'not bound to its durable yet',
  )
  return {
    name: 'audit',
    drain: () => consumption.drain(),
    async [Symbol.asyncDispose]() {
      removeCheck()
      await consumption[Symbol.asyncDispose]()
    },
  }
}
