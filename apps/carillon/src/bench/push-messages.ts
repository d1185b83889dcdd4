import { randomBytes, randomUUID } from 'node:crypto'
import { type Address, type Message, type Outgoing, signReceiptToken } from '@carillon/channels'

/** Providers that are measured, with the kind of their addresses. */
export const MEASURED = { fcm: 'fcm', apns: 'apns', webpush: 'webpush', smtp: 'email' } as const
export type MeasuredProvider = keyof typeof MEASURED

const TENANT = 'bench'
const HOUR_MS = 3_600_000
const KEY = randomBytes(32)

/** What delivery hands to a sender for a ride: rendered words, a few values for the app, ids and a receipt token. */
export function outgoingFor(addresses: readonly Address[], count: number): Outgoing[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, index) => {
    const [deliveryId, notificationId] = [randomUUID(), randomUUID()]
    const claims = { tenant: TENANT, notificationId, deliveryId, expiresAt: now + 24 * HOUR_MS }
    return {
      deliveryId,
      notificationId,
      tenant: TENANT,
      attempt: 1,
      address: addresses[index % addresses.length] as Address,
      message: message(index, now),
      receiptToken: signReceiptToken(KEY, claims),
    }
  })
}

function message(index: number, now: number): Message {
  return {
    title: 'Mira is on the way',
    body: `Your blue Ioniq, W-${index}, is there in 4 minutes.`,
    url: `/rides/ride-${index}`,
    data: { rideId: `ride-${index}`, city: 'vienna' },
    priority: 'high',
    expiresAt: now + HOUR_MS,
    collapseKey: `ride-${index}`,
    html: `<p>Your blue Ioniq, <b>W-${index}</b>, is there in 4 minutes.</p>`,
  }
}
