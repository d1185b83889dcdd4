import { type Receipt, type ReceiptStatus, receiptSubject } from '@carillon/contracts'
import type { OutgoingMessage } from '@carillon/jetstream'
import type { ClaimedDelivery, ClosedAttempt, EndedDelivery } from '@carillon/postgres'

const STATUS: Readonly<Record<string, ReceiptStatus>> = {
  sent: 'accepted',
  // told by the phone or its network sooner than the worker could
  delivered: 'accepted',
  failed: 'failed',
  expired: 'expired',
}

/** The receipt of an attempt that was closed; undefined while the delivery goes on. */
export function receiptOf(
  delivery: ClaimedDelivery,
  closed: ClosedAttempt,
  nowMs: number,
): OutgoingMessage | undefined {
  return message(delivery.tenant, closed.status, {
    deliveryId: delivery.id,
    runId: delivery.runId,
    userId: delivery.userId,
    channel: delivery.channel,
    at: nowMs,
    attempt: closed.attempt,
    by: closed.status === 'sent' ? 'provider' : 'worker',
    ...(closed.provider === null ? {} : { provider: closed.provider }),
    ...(closed.providerId === null ? {} : { providerId: closed.providerId }),
    ...(closed.reason === null ? {} : { reason: closed.reason }),
    ...(closed.detail === null ? {} : { detail: closed.detail }),
  })
}

/** The receipt of a delivery that ended on an earlier pass, which may not have got to tell it. */
export function receiptOfEnded(ended: EndedDelivery): OutgoingMessage | undefined {
  return message(ended.tenant, ended.status, {
    deliveryId: ended.id,
    runId: ended.runId,
    userId: ended.userId,
    channel: ended.channel,
    at: ended.updatedAt.getTime(),
    attempt: ended.attempt,
    by: STATUS[ended.status] === 'accepted' ? 'provider' : 'worker',
    ...(ended.provider === null ? {} : { provider: ended.provider }),
    ...(ended.providerId === null ? {} : { providerId: ended.providerId }),
    ...(ended.reason === null ? {} : { reason: ended.reason }),
  })
}

function message(
  tenant: string,
  status: string,
  receipt: Omit<Receipt, 'status'>,
): OutgoingMessage | undefined {
  const told = STATUS[status]
  if (told === undefined) return undefined
  return {
    subject: receiptSubject(receipt.channel, told, tenant),
    body: JSON.stringify({ ...receipt, status: told } satisfies Receipt),
  }
}
