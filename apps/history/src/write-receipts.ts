import {
  addStatistics,
  applyDeliveryNews,
  clearShown,
  type Database,
  insertReceipts,
  type MovedDelivery,
  markEngaged,
  suppressDeliveries,
  type TenantReceipt,
  whenThere,
} from '@carillon/postgres'
import { foldReceipts } from './fold.js'

/**
 * Writes receipts and all that follows from those that are new, in one transaction: a repeated one changes and counts
 * nothing. Receipts of deliveries that don't exist are left out.
 */
export function writeReceipts(receipts: readonly TenantReceipt[], database: Database) {
  return whenThere(() =>
    database.inTransaction(async (tx) => {
      const fresh = await insertReceipts(tx, receipts)
      if (fresh.length === 0) return { fresh: 0, moved: [], engaged: [], suppressed: 0, dead: [] }
      const folded = foldReceipts(fresh)
      const moved = await applyDeliveryNews(tx, folded.deliveries)
      const engaged = folded.engaged.length === 0 ? [] : await markEngaged(tx, folded.engaged)
      const read = engaged.filter(({ readAt }) => readAt !== null).map(({ id }) => id)
      await clearShown(tx, read)
      await addStatistics(tx, fresh)
      const suppressed = await suppressDeliveries(tx, folded.suppressed)
      return { fresh: fresh.length, moved, engaged, suppressed, dead: deadOf(fresh, moved) }
    }),
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
