import { secondsToLive } from '../lifetime.js'
import type { OutgoingTo } from '../message.js'
import type { SmsCredentials } from './credentials.js'
import { plainSigns, segmentsOf } from './segments.js'

/** Messages that one text may become. Ten in GSM-7 are 1530 characters; Twilio takes 1600. */
export const SMS_MAX_SEGMENTS = 10
/** What `smsMeasured` may come to. */
export const SMS_MAX_UNITS = SMS_MAX_SEGMENTS * 160

const MAX_VALIDITY_SECONDS = 36_000

/** What the caller may set in `overrides.sms`. Recipient, sender and callback are not among them. */
const OVERRIDABLE = new Set(['Body', 'MaxPrice', 'ShortenUrls', 'ContentRetention', 'AddressRetention'])

/** What a person reads: title, body and link, each on its own line; a link that the words name already is not repeated. */
export function smsText({ message }: OutgoingTo<'sms'>): string {
  const own = message.overrides?.sms?.Body
  if (typeof own === 'string') return plainSigns(own)
  const words = [message.title, message.body].filter((line) => line !== undefined && line !== '').join('\n')
  const { url } = message
  const lines = url === undefined || url === '' || words.includes(url) ? [words] : [words, url]
  return plainSigns(lines.filter((line) => line !== '').join('\n'))
}

/** As many bytes as the messages hold that the text becomes: a longer text never measures less. */
export function smsMeasured(outgoing: OutgoingTo<'sms'>): string {
  return ' '.repeat(segmentsOf(smsText(outgoing)).count * 160)
}

/** Form fields of one message. The network gives up on a phone that stays off when the message has no worth any more. */
export function smsPayload(
  outgoing: OutgoingTo<'sms'>,
  credentials: SmsCredentials,
  nowMs: number,
): URLSearchParams {
  const { message, address } = outgoing
  const overrides = Object.entries(message.overrides?.sms ?? {}).filter(([field]) => OVERRIDABLE.has(field))
  const { sender } = credentials
  const statusUrl = reachable(address.statusUrl, credentials.baseUrl)
  return new URLSearchParams({
    ...Object.fromEntries(overrides.map(([field, value]) => [field, String(value)])),
    To: address.phone,
    ...('from' in sender ? { From: sender.from } : { MessagingServiceSid: sender.messagingServiceSid }),
    Body: smsText(outgoing),
    ValidityPeriod: String(Math.max(1, secondsToLive(message, nowMs, MAX_VALIDITY_SECONDS))),
    ...(statusUrl === undefined ? {} : { StatusCallback: statusUrl }),
  })
}

/** An address of this machine is of use only to a provider on it; Twilio refuses the whole message for one. */
function reachable(statusUrl: string | undefined, baseUrl: string): string | undefined {
  return statusUrl !== undefined && isLoopback(statusUrl) && !isLoopback(baseUrl) ? undefined : statusUrl
}

function isLoopback(url: string): boolean {
  return /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)
}
