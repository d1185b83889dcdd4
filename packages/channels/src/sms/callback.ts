import { createHmac, timingSafeEqual } from 'node:crypto'

/** The number is dead; the carrier refused; the account may not; something was away; its time was over. */
export type SmsFailure = 'address' | 'rejected' | 'config' | 'unavailable' | 'expired'

/** What became of a message after Twilio took it. */
export type SmsNews =
  | { kind: 'delivered' }
  | { kind: 'failed'; cause: SmsFailure; detail: string }
  /** On its way: `queued`, `sending`, `sent`. Nothing to write down. */
  | { kind: 'pending' }

/** By Twilio's error code of an undelivered message. What isn't listed is the carrier's refusal. */
const CAUSES: Readonly<Record<string, SmsFailure>> = {
  '30001': 'unavailable',
  '30002': 'config',
  '30003': 'rejected',
  '30004': 'address',
  '30005': 'address',
  '30006': 'address',
  '30007': 'rejected',
  '30008': 'unavailable',
  '30009': 'unavailable',
  '30010': 'config',
  '30032': 'config',
  '30034': 'config',
  '30036': 'expired',
  '21610': 'address',
}

/**
 * Whether a callback was signed by the account: HMAC-SHA1 of the whole URL followed by every form field, sorted by
 * name, each name and value joined. `url` is the one that was given as StatusCallback, as Twilio saw it.
 */
export function isSignedByTwilio(
  authToken: string,
  callback: { url: string; form: URLSearchParams; signature: string },
): boolean {
  const names = [...new Set(callback.form.keys())].sort()
  const fields = names.flatMap((name) =>
    [...new Set(callback.form.getAll(name))].sort().map((value) => `${name}${value}`),
  )
  const expected = createHmac('sha1', authToken)
    .update(callback.url + fields.join(''))
    .digest()
  const given = Buffer.from(callback.signature, 'base64')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** Reads the fields of a status callback. Unknown statuses are `pending`. */
export function readSmsNews(form: URLSearchParams): SmsNews {
  const status = form.get('MessageStatus') ?? form.get('SmsStatus') ?? ''
  if (status === 'delivered' || status === 'read') return { kind: 'delivered' }
  if (status !== 'undelivered' && status !== 'failed' && status !== 'canceled') return { kind: 'pending' }
  const code = form.get('ErrorCode') ?? ''
  return {
    kind: 'failed',
    cause: CAUSES[code] ?? 'rejected',
    detail: /^\d{1,6}$/.test(code) ? `TWILIO_${code}` : `TWILIO_${status.toUpperCase()}`,
  }
}
