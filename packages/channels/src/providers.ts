import { openApnsSender } from './apns/sender.js'
import { openFcmSender } from './fcm/sender.js'
import type { Provider } from './message.js'
import type { OpenSender } from './registry.js'
import { openSmsSender } from './sms/sender.js'
import { openSmtpSender } from './smtp/sender.js'
import { openWebhookSender } from './webhook/sender.js'
import { openWebPushSender } from './webpush/sender.js'

/** Every provider there is, and how it is opened. */
export const OPENERS: Readonly<Record<Provider, OpenSender>> = {
  fcm: openFcmSender,
  apns: openApnsSender,
  webpush: openWebPushSender,
  smtp: openSmtpSender,
  sms: openSmsSender,
  webhook: openWebhookSender,
}
