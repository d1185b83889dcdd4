import { type ExplainedDelivery, type ExplainInput, type Explanation, explain } from '@carillon/decisions'
import {
  type AttemptRecord,
  attemptsOf,
  type DeliveryRecord,
  deliveriesOf,
  type EventRecord,
  findEvent,
  type ReceiptRecord,
  type RunRecord,
  receiptsOf,
  type Tx,
} from '@carillon/postgres'

const iso = (moment: Date | null): string | null => moment?.toISOString() ?? null
const ms = (moment: Date | null): number | null => moment?.getTime() ?? null

/** A run without its plan and texts. */
export function runSummary(run: RunRecord): Record<string, unknown> {
  return {
    id: run.id,
    eventId: run.eventId,
    workflow: run.workflowKey,
    version: run.workflowVersion,
    recipient: run.recipient,
    state: run.state,
    reason: run.reason,
    lane: run.lane,
    category: run.category,
    wakeAt: iso(run.wakeAt),
    expiresAt: iso(run.expiresAt),
    createdAt: run.createdAt.toISOString(),
    seenAt: iso(run.seenAt),
    readAt: iso(run.readAt),
    archivedAt: iso(run.archivedAt),
  }
}

/** Where one delivery of a notification stands. Mailboxes are shown; tokens of devices never are. */
export function deliverySummary(delivery: DeliveryRecord): Record<string, unknown> {
  return {
    id: delivery.id,
    channel: delivery.channel,
    step: delivery.step,
    address: addressOf(delivery),
    provider: delivery.provider,
    status: delivery.status,
    reason: delivery.reason,
    detail: delivery.detail,
    attempts: delivery.attemptNo,
    maxAttempts: delivery.maxAttempts,
    sentAt: iso(delivery.sentAt),
    deliveredAt: iso(delivery.deliveredAt),
    openedAt: iso(delivery.openedAt),
    clickedAt: iso(delivery.clickedAt),
    updatedAt: delivery.updatedAt.toISOString(),
  }
}

function addressOf(delivery: DeliveryRecord): string {
  return delivery.addressKind === 'device' ? (delivery.device ?? 'a device that is gone') : delivery.address
}

/** The stories of some runs of one event; `event` is read when it isn't given. */
export async function explainRuns(
  tx: Tx,
  of: { tenant: string; event?: EventRecord; runs: readonly RunRecord[] },
): Promise<(Record<string, unknown> & Explanation)[]> {
  const { tenant, runs } = of
  const first = runs[0]
  if (first === undefined) return []
  const ids = { tenant, ids: runs.map((run) => run.id) }
  const event = of.event ?? (await findEvent(tx, { tenant, id: first.eventId }))
  const deliveries = await deliveriesOf(tx, ids)
  const attempts = await attemptsOf(tx, ids)
  const receipts = await receiptsOf(tx, ids)
  return runs.map((run) => {
    const own = deliveries.filter((delivery) => delivery.runId === run.id)
    return {
      ...runSummary(run),
      ...explain(explainInput(run, event, { deliveries: own, attempts, receipts })),
      deliveries: own.map(deliverySummary),
    }
  })
}

function explainInput(
  run: RunRecord,
  event: EventRecord | undefined,
  facts: { deliveries: DeliveryRecord[]; attempts: AttemptRecord[]; receipts: ReceiptRecord[] },
): ExplainInput {
  return {
    event: {
      type: event?.type ?? 'an event that is kept no more',
      id: event?.eventId ?? run.eventId,
      source: event?.source ?? 'unknown',
      seenAt: (event?.firstSeen ?? run.createdAt).getTime(),
    },
    workflow: { key: run.workflowKey, version: run.workflowVersion },
    recipient: run.recipient,
    state: run.state,
    reason: run.reason,
    // written by the dispatcher as {at, steps} per pass
    passes: run.plan as ExplainInput['passes'],
    deliveries: facts.deliveries.map((delivery) => explainedDelivery(delivery, facts)),
    seenAt: ms(run.seenAt),
    readAt: ms(run.readAt),
  }
}

function explainedDelivery(
  delivery: DeliveryRecord,
  facts: { attempts: AttemptRecord[]; receipts: ReceiptRecord[] },
): ExplainedDelivery {
  return {
    id: delivery.id,
    channel: delivery.channel,
    step: delivery.step,
    address: addressOf(delivery),
    status: delivery.status,
    reason: delivery.reason,
    detail: delivery.detail,
    attempts: facts.attempts
      .filter((attempt) => attempt.deliveryId === delivery.id)
      .map((attempt) => ({
        number: attempt.attemptNo,
        provider: attempt.provider,
        verdict: attempt.verdict,
        reason: attempt.reason,
        at: attempt.startedAt.getTime(),
      })),
    receipts: facts.receipts
      .filter((receipt) => receipt.deliveryId === delivery.id)
      .map((receipt) => ({ status: receipt.status, at: receipt.at.getTime() })),
    nextAttemptAt: delivery.status === 'retrying' ? ms(delivery.dueAt) : null,
  }
}
