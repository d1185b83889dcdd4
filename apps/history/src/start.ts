import { DURABLES, STREAMS } from '@carillon/contracts'
import { assertTopology, type Connection, consume, createWindowPublisher } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { ProcessDeps, Service } from '@carillon/service'
import type { HistoryConfig } from './config.js'
import { createHistoryEvents } from './events.js'
import { createOnReceipts } from './on-receipts.js'

export interface HistoryDeps extends ProcessDeps {
  connection: Connection
  /** Opened with the worker's login. */
  database: Database
}

/** Starts the history consumer. Closes nothing it was given. */
export async function start(config: HistoryConfig, deps: HistoryDeps): Promise<Service> {
  const { connection, database } = deps
  const durable = { stream: STREAMS.receipts, durable: DURABLES.history }
  await assertTopology(connection, { streams: [STREAMS.live], durables: [durable] })
  const events = createHistoryEvents(deps)
  const frames = createWindowPublisher(connection, { stream: STREAMS.live })
  const onReceipts = createOnReceipts({
    database,
    publishFrames: (messages) => frames.publishAll(messages),
    events,
  })
  const consumption = consume(
    connection,
    { ...durable, batch: config.batchSize, concurrency: 1 },
    onReceipts,
    {
      onFailure: (error) => events.failed('receipts', error),
      onMissing: (error) => events.failed('topology', error),
      onDead: (message, reason) => deps.logger.warn({ subject: message.subject, reason }, 'receipt.dead'),
    },
  )
  const removeCheck = deps.health.add('history', () =>
    consumption.stats().bound ? undefined : 'not bound to its durable yet',
  )
  return {
    name: 'history',
    drain: () => consumption.drain(),
    async [Symbol.asyncDispose]() {
      removeCheck()
      await consumption[Symbol.asyncDispose]()
      await frames[Symbol.asyncDispose]()
    },
  }
}
