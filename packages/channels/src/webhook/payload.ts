import { Webhook } from 'standardwebhooks'
import type { Measured } from '../fit.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'

const MAX_BYTES = 262_144

/** How a webhook is measured: its whole body. */
export const webhookMeasured: Measured<OutgoingTo<'webhook'>, string> = {
  maxBytes: MAX_BYTES,
  build: webhookBody,
  text: (body) => body,
}

/** The body: the notification in our words and, when the address carries it, the event behind it. */
export function webhookBody(outgoing: OutgoingTo<'webhook'>): string {
  const { address, message } = outgoing
  const { overrides, listUnsubscribeUrl: _mailOnly, ...shown } = message
  const data = {
    nid: outgoing.notificationId,
    did: outgoing.deliveryId,
    rt: outgoing.receiptToken,
    message: shown,
    ...(address.event === undefined ? {} : { event: address.event }),
  }
  return JSON.stringify(mergeDeep({ type: 'notification', data }, overrides?.webhook))
}

/**
 * Standard Webhooks headers. The id is the delivery's on every attempt, so the receiver can drop a repetition; the
 * timestamp is the attempt's. Each secret signs, newest first.
 * @throws Error when a secret is not usable
 */
export function signWebhook(
  outgoing: OutgoingTo<'webhook'>,
  body: string,
  nowMs: number,
): Record<string, string> {
  const at = new Date(nowMs)
  const signatures = outgoing.address.secrets.map((secret) =>
    new Webhook(secret).sign(outgoing.deliveryId, at, body),
  )
  return {
    'content-type': 'application/json',
    'webhook-id': outgoing.deliveryId,
    'webhook-timestamp': String(Math.floor(nowMs / 1000)),
    'webhook-signature': signatures.join(' '),
  }
}
