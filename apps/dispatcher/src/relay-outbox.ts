import { STREAMS } from '@carillon/contracts'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import { type Database, deleteOutbox, lockOutbox } from '@carillon/postgres'
import type { DispatchEvents } from './events.js'
import type { DueWork } from './waker.js'

export interface OutboxDeps {
  database: Database
  publish(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  publishFrames(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  events: DispatchEvents
}

const BATCH = 500

/**
 * Publishes what a request wrote to the outbox and did not get to publish itself. Rows are deleted in the transaction
 * that locked them, after the acknowledgement: a crash in between publishes twice, with the same message id.
 */
export function createRelayOutbox(deps: OutboxDeps): DueWork {
  return {
    kind: 'outbox',
    async run() {
      const relayed = await deps.database.inTransaction(async (tx) => {
        const rows = await lockOutbox(tx, BATCH)
        const done: number[] = []
        for (const stream of new Set(rows.map((row) => row.stream))) {
          const group = rows.filter((row) => row.stream === stream)
          const messages = group.map((row) => ({
            subject: row.subject,
            body: row.body,
            messageId: row.messageId,
          }))
          const outcomes =
            stream === STREAMS.live
              ? await deps.publishFrames(messages)
              : await deps.publish(stream, messages)
          group.forEach((row, index) => {
            if (outcomes[index]?.ok === true) done.push(row.id)
          })
        }
        if (done.length > 0) await deleteOutbox(tx, done)
        return { found: rows.length, done: done.length }
      })
      if (relayed.done > 0) deps.events.woken('outbox', relayed.done)
      return { more: relayed.found === BATCH && relayed.done > 0 }
    },
  }
}
