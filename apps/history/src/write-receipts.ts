import { type FrameMessage, STREAMS } from '@carillon/contracts'
import {
  addStatistics,
  applyDeliveryNews,
  clearShown,
  type Database,
  type EngagedRun,
  insertOutbox,
  insertReceipts,
  type MovedDelivery,
  markEngaged,
  suppressDeliveries,
  type TenantReceipt,
  type Tx,
  whenThere,
} from '@carillon/postgres'
import { foldReceipts } from './fold.js'
import { engagementFrame } from './frames.js'

/** What a person's devices are told; the row in the outbox goes once it is published. */
export interface Told {
  frame: FrameMessage
  outboxId: number
}

/**
 * Writes receipts and all that follows from those that are new, in one transaction: a repeated one changes and counts
 * nothing, so what has to be told of marks is written along with them. Receipts of deliveries that don't exist are left out.
 */
export function writeReceipts(receipts: readonly TenantReceipt[], database: Database) {
  return whenThere(() =>
    database.inTransaction(async (tx) => {
      const fresh = await insertReceipts(tx, receipts)
      if (fresh.length === 0) return { fresh: 0, ended: [], moved: [], engaged: [], suppressed: 0, dead: [] }
      const folded = foldReceipts(fresh)
      const moved = await applyDeliveryNews(tx, folded.deliveries)
      const engaged = folded.engaged.length === 0 ? [] : await markEngaged(tx, folded.engaged)
      const read = engaged.filter(({ readAt }) => readAt !== null).map(({ id }) => id)
      await clearShown(tx, read)
      await addStatistics(tx, fresh)
      const suppressed = await suppressDeliveries(tx, folded.suppressed)
      const told = await toTell(tx, engaged)
      return {
        fresh: fresh.length,
        ended: endedOf(fresh),
        moved,
        engaged: told,
        suppressed,
        dead: deadOf(fresh, moved),
      }
    }),
  )
}

async function toTell(tx: Tx, engaged: readonly EngagedRun[]): Promise<Told[]> {
  const frames = engaged.map((run) => ({ tenant: run.tenant, frame: engagementFrame(run) }))
  return leaveInOutbox(tx, frames)
}

/** Writes frames down for dispatchers to publish, those of one tenant after the other's. */
export async function leaveInOutbox(
  tx: Tx,
  frames: readonly { tenant: string; frame: FrameMessage }[],
): Promise<Told[]> {
  const told: Told[] = []
  for (const tenant of new Set(frames.map((one) => one.tenant))) {
    const own = frames.flatMap((one) => (one.tenant === tenant ? [one.frame] : []))
    const ids = await insertOutbox(
      tx,
      tenant,
      own.map((frame) => ({ stream: STREAMS.live, ...frame })),
    )
    own.forEach((frame, place) => {
      told.push({ frame, outboxId: ids[place] as number })
    })
  }
  return told
}

/** What ended by a worker's word: its row says so already. */
export function endedOf(receipts: readonly TenantReceipt[]): Omit<MovedDelivery, 'answeredAfterMs'>[] {
  return receipts.flatMap(({ deliveryId: id, runId, tenant, userId, channel, status, by }) =>
    by === 'worker' && (status === 'failed' || status === 'expired')
      ? [{ id, runId, tenant, userId, channel, status }]
      : [],
  )
}

/** What failed: by the worker's word, or because it came back after it had gone out. */
function deadOf(
  fresh: readonly TenantReceipt[],
  moved: readonly MovedDelivery[],
): { channel: string; reason: string }[] {
  const failed = new Set(moved.flatMap(({ id, status }) => (status === 'failed' ? [id] : [])))
  return fresh
    .filter(
      ({ status, deliveryId }) => status === 'failed' || (status === 'bounced' && failed.has(deliveryId)),
    )
    .map(({ channel, status, reason }) => ({
      channel,
      reason: reason ?? (status === 'bounced' ? 'ADDRESS_INVALID' : 'PROVIDER_UNAVAILABLE'),
    }))
}
