import { APNS_MAX_BYTES, apnsPayload } from './apns/payload.js'
import { FCM_MAX_BYTES, fcmMeasured, fcmPayload } from './fcm/payload.js'
import { type Fitted, fitTo } from './fit.js'
import type { Outgoing, OutgoingTo } from './message.js'
import { SMS_MAX_UNITS, smsMeasured } from './sms/payload.js'
import { WEBHOOK_MAX_BYTES, webhookBody } from './webhook/payload.js'
import { WEBPUSH_MAX_BYTES, webPushPayload } from './webpush/payload.js'

/** A bundle id of the longest length Apple gives; it stands in a header and doesn't count. */
const ANY_BUNDLE = 'bundle'

/**
 * The message as the address's provider will take it, and what was clipped for it. Senders do this themselves; use it
 * to preview. E-mail is returned as it is: its limit is a server's and a thousand times higher.
 * @throws ChannelError `PAYLOAD_TOO_LARGE`
 */
export function fit(outgoing: Outgoing, nowMs: number): Fitted {
  switch (outgoing.address.kind) {
    case 'fcm':
      return fitTo(outgoing as OutgoingTo<'fcm'>, FCM_MAX_BYTES, (one) => fcmMeasured(fcmPayload(one, nowMs)))
    case 'apns':
      return fitTo(
        outgoing as OutgoingTo<'apns'>,
        APNS_MAX_BYTES,
        (one) => apnsPayload(one, ANY_BUNDLE, nowMs).body,
      )
    case 'webpush':
      return fitTo(
        outgoing as OutgoingTo<'webpush'>,
        WEBPUSH_MAX_BYTES,
        (one) => webPushPayload(one, nowMs).body,
      )
    case 'webhook':
      return fitTo(outgoing as OutgoingTo<'webhook'>, WEBHOOK_MAX_BYTES, webhookBody)
    case 'sms':
      return fitTo(outgoing as OutgoingTo<'sms'>, SMS_MAX_UNITS, smsMeasured)
    case 'email':
      return { message: outgoing.message, clipped: [] }
  }
}
