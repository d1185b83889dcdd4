import { apnsMeasured } from './apns/payload.js'
import { fcmMeasured } from './fcm/payload.js'
import { type Fitted, fitPayload, fitTo } from './fit.js'
import { isFor, type Outgoing } from './message.js'
import { SMS_MAX_UNITS, smsMeasured } from './sms/payload.js'
import { webhookMeasured } from './webhook/payload.js'
import { webPushMeasured } from './webpush/payload.js'

/** A bundle id stands in a header and doesn't count. */
const ANY_BUNDLE = 'bundle'

/**
 * The message as the address's provider will take it, and what was clipped for it. Senders do this themselves; use it
 * to preview. E-mail is returned as it is: its limit is a server's and a thousand times higher.
 * @throws ChannelError `PAYLOAD_TOO_LARGE`
 */
export function fit(outgoing: Outgoing, nowMs: number): Fitted {
  if (isFor(outgoing, 'fcm')) return fitted(fitPayload(outgoing, fcmMeasured(outgoing, nowMs)))
  if (isFor(outgoing, 'apns')) return fitted(fitPayload(outgoing, apnsMeasured(ANY_BUNDLE, nowMs)))
  if (isFor(outgoing, 'webpush')) return fitted(fitPayload(outgoing, webPushMeasured(nowMs)))
  if (isFor(outgoing, 'webhook')) return fitted(fitPayload(outgoing, webhookMeasured))
  if (isFor(outgoing, 'sms')) return fitTo(outgoing, SMS_MAX_UNITS, smsMeasured)
  return { message: outgoing.message, clipped: [] }
}

function fitted({ message, clipped }: Fitted): Fitted {
  return { message, clipped }
}
