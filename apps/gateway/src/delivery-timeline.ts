import type { AttemptRecord, DeliveryRecord, ReceiptRecord } from '@carillon/postgres'

/** What happened to a delivery at a moment. */
export interface TimelineMoment {
  at: string
  /** `queued`, `attempt`, `replayed`, `next attempt`, a receipt's word, or the status in which it ended. */
  what: string
  why: string | null
  attempt?: number
  provider?: string
  /** Name of the account that was asked. */
  account?: string
}

/** Ends that no receipt tells of. */
const SILENT_ENDS = new Set(['withdrawn', 'skipped', 'expired', 'failed'])

/**
 * One delivery in the order of time: queued, each attempt with its verdict, what came back, sent again, how it ended.
 * Of several times that it was sent again the last is told, with their number. Pure.
 */
export function timelineOf(
  delivery: DeliveryRecord,
  facts: { attempts: readonly AttemptRecord[]; receipts: readonly ReceiptRecord[] },
): TimelineMoment[] {
  const attempts = facts.attempts.filter(({ deliveryId }) => deliveryId === delivery.id)
  const receipts = facts.receipts.filter(({ deliveryId }) => deliveryId === delivery.id)
  const moments: TimelineMoment[] = [moment(delivery.createdAt, 'queued', null)]
  for (const attempt of attempts) moments.push(...momentsOf(attempt))
  const accepted = attempts.some(({ verdict }) => verdict === 'accepted')
  for (const { status, at, by, detail } of receipts) {
    // the attempt says so itself, and each time it happened
    if (status === 'accepted' && accepted) continue
    moments.push(moment(at, status, detail ?? `told by the ${by}`))
  }
  if (delivery.replayedAt !== null) moments.push(moment(delivery.replayedAt, 'replayed', replayed(delivery)))
  const { status, reason, detail, dueAt } = delivery
  if (SILENT_ENDS.has(status) && !receipts.some((receipt) => tells(receipt, delivery)))
    moments.push(moment(delivery.updatedAt, status, detail ?? reason))
  if (status === 'retrying' && dueAt !== null) moments.push(moment(dueAt, 'next attempt', detail ?? reason))
  return moments.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}

function momentsOf(attempt: AttemptRecord): TimelineMoment[] {
  const { attemptNo, provider, account, verdict, startedAt, finishedAt } = attempt
  const of = {
    attempt: attemptNo,
    ...(provider === null ? {} : { provider }),
    ...(account === null ? {} : { account }),
  }
  const said = [verdict ?? 'no answer is known', attempt.reason, attempt.detail].filter(
    (part) => part !== null,
  )
  const begun = { ...moment(startedAt, 'attempt', [...new Set(said)].join(': ')), ...of }
  if (verdict !== 'accepted' || finishedAt === null) return [begun]
  return [begun, { ...moment(finishedAt, 'accepted', attempt.providerId), ...of }]
}

/** A failure of before it was sent again doesn't tell of how it ended now. */
function tells(receipt: ReceiptRecord, { status, replayedAt }: DeliveryRecord): boolean {
  if (receipt.status !== status && !(status === 'failed' && receipt.status === 'bounced')) return false
  return replayedAt === null || receipt.at >= replayedAt
}

function replayed({ replays }: DeliveryRecord): string {
  return replays === 1
    ? 'it had failed and was sent off again'
    : `it had failed and was sent off again, ${replays} times by now`
}

function moment(at: Date, what: string, why: string | null): TimelineMoment {
  return { at: at.toISOString(), what, why }
}
