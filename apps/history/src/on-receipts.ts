import { ContractError, decodeReceipt } from '@carillon/contracts'
import {
  DONE,
  dead,
  type Outcome,
  type OutgoingMessage,
  type PublishOutcome,
  type Received,
  retryAfter,
} from '@carillon/jetstream'
import { type Database, deleteOutbox, type MovedDelivery, type TenantReceipt } from '@carillon/postgres'
import type { HistoryEvents } from './events.js'
import { deliveryFrame } from './frames.js'
import { type Told, writeReceipts } from './write-receipts.js'

export interface OnReceiptsDeps {
  database: Database
  publishFrames(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  events: HistoryEvents
}

/** How long receipts whose frames found no broker wait before the pass is repeated. */
const AGAIN_MS = 1_000

/**
 * Handles a batch of RECEIPTS: write those that are new, move deliveries and notifications on, suppress dead addresses, count, tell. All rows of
 * a batch are written in one transaction, so a repeated receipt counts nothing twice.
 */
export function createOnReceipts(deps: OnReceiptsDeps): (batch: readonly Received[]) => Promise<Outcome[]> {
  return async (batch) => {
    const outcomes: Outcome[] = batch.map(() => DONE)
    const receipts: TenantReceipt[] = []
    batch.forEach((message, place) => {
      try {
        receipts.push({ ...decodeReceipt(message.body), tenant: message.subject.split('.')[3] ?? '' })
      } catch (error) {
        if (!(error instanceof ContractError)) throw error
        outcomes[place] = dead(`${error.code}: ${error.message}`)
      }
    })
    if (receipts.length === 0) return outcomes
    const written = await writeReceipts(receipts, deps.database)
    const told = await tell(written, deps)
    for (const { channel, status, answeredAfterMs } of written.moved) {
      if (status === 'delivered' && answeredAfterMs !== null) deps.events.answered(channel, answeredAfterMs)
    }
    deps.events.recorded({
      receipts: receipts.length,
      fresh: written.fresh,
      deliveries: written.moved.length,
      notifications: written.engaged.length,
      suppressed: written.suppressed,
      dead: written.dead,
    })
    return told
      ? outcomes
      : outcomes.map((outcome) => (outcome.kind === 'done' ? retryAfter(AGAIN_MS) : outcome))
  }
}

/** True when everything was stored. Marks that were not are relayed from the outbox. */
async function tell(
  { moved, engaged }: { moved: readonly MovedDelivery[]; engaged: readonly Told[] },
  deps: OnReceiptsDeps,
): Promise<boolean> {
  const frames = [...engaged.map(({ frame }) => frame), ...moved.map(deliveryFrame)]
  if (frames.length === 0) return true
  const outcomes = await deps.publishFrames(frames)
  const done = engaged.flatMap(({ outboxId }, place) => (outcomes[place]?.ok === true ? [outboxId] : []))
  if (done.length > 0) await deps.database.inTransaction((tx) => deleteOutbox(tx, done))
  return outcomes.every((outcome) => outcome.ok)
}
