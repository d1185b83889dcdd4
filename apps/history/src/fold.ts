import type { Receipt } from '@carillon/contracts'
import type { DeliveryNews, SuppressionReason } from '@carillon/postgres'

/** What a batch of receipts says, folded to one entry per row. Pure; the order of receipts doesn't matter. */
export interface Folded {
  deliveries: DeliveryNews[]
  engaged: { runId: string; seenAtMs: number; readAtMs: number | null }[]
  /** Mailboxes and numbers that nothing is sent to any more, by the delivery that showed it. */
  suppressed: { runId: string; deliveryId: string; reason: SuppressionReason; detail: string | null }[]
}

/** Receipts that prove that the notification arrived: nobody complains of a mail that never came. */
const ARRIVED = new Set<Receipt['status']>(['delivered', 'opened', 'clicked', 'dismissed', 'complained'])
/** Receipts that say that somebody looked at it. */
const LOOKED_AT = new Set<Receipt['status']>(['opened', 'clicked', 'dismissed'])
const READ = new Set<Receipt['status']>(['opened', 'clicked'])

export function foldReceipts(receipts: readonly Receipt[]): Folded {
  const deliveries = new Map<string, DeliveryNews>()
  const engaged = new Map<string, { runId: string; seenAtMs: number; readAtMs: number | null }>()
  const suppressed: Folded['suppressed'] = []
  for (const receipt of receipts) {
    const { runId, deliveryId, status, at } = receipt
    const news = deliveries.get(deliveryId) ?? emptyNews(runId, deliveryId)
    deliveries.set(deliveryId, news)
    if (ARRIVED.has(status)) {
      news.deliveredAtMs = earliest(news.deliveredAtMs, at)
      // a mail can bounce after it seemed delivered; a device that shows it can't be wrong
      news.status = 'delivered'
      news.reason = null
      news.detail = null
    }
    if (status === 'bounced' && news.status === null) {
      news.status = 'failed'
      news.reason = receipt.reason ?? 'ADDRESS_INVALID'
      news.detail = receipt.detail ?? null
    }
    const reason = suppressionOf(receipt)
    if (reason !== undefined) suppressed.push({ runId, deliveryId, reason, detail: receipt.detail ?? null })
    if (READ.has(status)) news.openedAtMs = earliest(news.openedAtMs, at)
    if (status === 'clicked') news.clickedAtMs = earliest(news.clickedAtMs, at)
    if (LOOKED_AT.has(status)) {
      const known = engaged.get(runId)
      engaged.set(runId, {
        runId,
        seenAtMs: earliest(known?.seenAtMs ?? null, at),
        readAtMs: READ.has(status) ? earliest(known?.readAtMs ?? null, at) : (known?.readAtMs ?? null),
      })
    }
  }
  return { deliveries: [...deliveries.values()], engaged: [...engaged.values()], suppressed }
}

/** What a receipt says of the address itself. A device may speak of its own message, never of an address. */
function suppressionOf({ status, reason, by }: Receipt): SuppressionReason | undefined {
  if (by === 'device') return undefined
  if (status === 'complained') return 'complained'
  if (status !== 'bounced') return undefined
  if (reason === 'UNSUBSCRIBED') return 'stopped'
  return reason === 'ADDRESS_INVALID' ? 'bounced' : undefined
}

function emptyNews(runId: string, id: string): DeliveryNews {
  return {
    runId,
    id,
    status: null,
    reason: null,
    detail: null,
    deliveredAtMs: null,
    openedAtMs: null,
    clickedAtMs: null,
  }
}

function earliest(known: number | null, at: number): number {
  return known === null ? at : Math.min(known, at)
}
