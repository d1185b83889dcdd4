import type { Address, Message, Outgoing, Verdict } from '../src/index.js'

/** A signal that nobody aborts. */
export const never = (): AbortSignal => new AbortController().signal

let counter = 0

/** One attempt to an address, with ids of its own. */
export function outgoing(address: Address, message: Partial<Message> = {}): Outgoing {
  const tail = String(++counter).padStart(12, '0')
  return {
    deliveryId: `0198c0de-0000-8000-8000-${tail}`,
    notificationId: `0198c0de-1111-8000-8000-${tail}`,
    tenant: 'acme',
    attempt: 1,
    address,
    message: { title: 'Your ride', body: 'Ana is two minutes away', priority: 'high', ...message },
    receiptToken: `rt-${tail}`,
  }
}

/** Kind and reason of each verdict, for comparing. */
export function words(verdicts: readonly Verdict[]): string[] {
  return verdicts.map((verdict) => ('reason' in verdict ? `${verdict.kind} ${verdict.reason}` : verdict.kind))
}
