import { ContractError, type DeliveryStatus, decodeReceipt } from '@carillon/contracts'
import {
  DONE,
  dead,
  type Outcome,
  type OutgoingMessage,
  type PublishOutcome,
  type Received,
} from '@carillon/jetstream'
import {
  type Database,
  deleteOutbox,
  findStatuses,
  type MovedDelivery,
  type TenantReceipt,
  whenThere,
} from '@carillon/postgres'
import type { HistoryEvents } from './events.js'
import { foldReceipts } from './fold.js'
import { deliveryFrame } from './frames.js'
import { endedOf, leaveInOutbox, type Told, writeReceipts } from './write-receipts.js'

export interface OnReceiptsDeps {
  database: Database
  publishFrames(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  events: HistoryEvents
}

/**
 * Handles a batch of RECEIPTS: write those that are new, move deliveries and notifications on, suppress dead addresses, count, tell. All rows of
 * a batch are written in one transaction, so a repeated receipt counts nothing twice.
 */
export function createOnReceipts(deps: OnReceiptsDeps): (batch: readonly Received[]) => Promise<Outcome[]> {
  return async (batch) => {
    const outcomes: Outcome[] = batch.map(() => DONE)
    const receipts: TenantReceipt[] = []
    const again: TenantReceipt[] = []
    batch.forEach((message, place) => {
      try {
        const receipt = { ...decodeReceipt(message.body), tenant: message.subject.split('.')[3] ?? '' }
        receipts.push(receipt)
        if (message.deliveries > 1) again.push(receipt)
      } catch (error) {
        if (!(error instanceof ContractError)) throw error
        outcomes[place] = dead(`${error.code}: ${error.message}`)
      }
    })
    if (receipts.length === 0) return outcomes
    const written = await writeReceipts(receipts, deps.database)
    const untold = await findUntold(again, [...written.ended, ...written.moved], deps.database)
    await tell({ moved: [...written.ended, ...written.moved, ...untold], engaged: written.engaged }, deps)
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
    return outcomes
  }
}

type Moved = Omit<MovedDelivery, 'answeredAfterMs'>

/** Statuses that people's devices are told of. */
const TOLD = new Set<DeliveryStatus>(['delivered', 'failed', 'expired'])

/**
 * What receipts that come again had moved: who took them before may have died after the commit, having told nobody. It is
 * told as it stands now, and perhaps for a second time.
 */
async function findUntold(
  again: readonly TenantReceipt[],
  moved: readonly Moved[],
  database: Database,
): Promise<Moved[]> {
  const told = new Set(moved.map(({ id }) => id))
  const news = foldReceipts(again).deliveries.filter(({ status }) => status !== null)
  const moving = new Set([...news, ...endedOf(again)].map(({ id }) => id))
  const asked = again.filter(({ deliveryId }) => moving.has(deliveryId) && !told.has(deliveryId))
  if (asked.length === 0) return []
  const found = await whenThere(() => findStatuses(database, asked))
  return found.filter(({ status }) => TOLD.has(status))
}

/** What the broker does not take is left in the outbox, where marks are already, for dispatchers to publish. */
async function tell(
  { moved, engaged }: { moved: readonly Moved[]; engaged: readonly Told[] },
  deps: OnReceiptsDeps,
): Promise<void> {
  const deliveries = moved.map((delivery) => ({ tenant: delivery.tenant, frame: deliveryFrame(delivery) }))
  if (engaged.length + deliveries.length === 0) return
  const outcomes = await deps.publishFrames([...engaged, ...deliveries].map(({ frame }) => frame))
  const done = engaged.flatMap(({ outboxId }, place) => (outcomes[place]?.ok === true ? [outboxId] : []))
  const left = deliveries.filter((_, place) => outcomes[engaged.length + place]?.ok !== true)
  if (done.length + left.length === 0) return
  await whenThere(() =>
    deps.database.inTransaction(async (tx) => {
      if (done.length > 0) await deleteOutbox(tx, done)
      await leaveInOutbox(tx, left)
    }),
  )
}
