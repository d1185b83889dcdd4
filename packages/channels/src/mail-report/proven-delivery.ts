import { ChannelError } from '../errors.js'
import { verifyReceiptToken } from '../receipt-token.js'
import { type BouncedDelivery, readBounceAddress, tenantMark } from '../smtp/bounce-address.js'
import type { MailReport, ReportSubject } from './report.js'

/**
 * The delivery that a report is certainly about: its bounce address or its receipt token was signed by one of these
 * keys. Undefined when nothing in it proves anything, and then nothing may be done upon it. Who got a mail can report
 * on that mail, and on no other. `tenant` is known from a token only; otherwise find it by `tenantMark`.
 */
export function provenDelivery(
  keys: Buffer | readonly Buffer[],
  report: MailReport | ReportSubject,
  nowMs: number = Date.now(),
): (BouncedDelivery & { tenant?: string }) | undefined {
  const { bounceAddress, receiptToken } = subjectOf(report)
  const proven = bounceAddress === undefined ? undefined : readBounceAddress(keys, bounceAddress)
  if (proven !== undefined || receiptToken === undefined) return proven
  try {
    const { tenant, notificationId, deliveryId } = verifyReceiptToken(keys, receiptToken, nowMs)
    return { tenant, tenantMark: tenantMark(tenant), notificationId, deliveryId }
  } catch (error) {
    if (error instanceof ChannelError) return undefined
    throw error
  }
}

function subjectOf(report: MailReport | ReportSubject): ReportSubject {
  return 'kind' in report && (report.kind === 'other' || report.kind === 'auto-reply') ? {} : report
}
