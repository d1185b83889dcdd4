import PostalMime, { type Email } from 'postal-mime'
import { readDeliveryStatus } from './delivery-status.js'
import { readFeedback } from './feedback.js'
import { addressIn } from './fields.js'
import { readPlainBounce } from './plain-bounce.js'
import type { MailReport } from './report.js'
import { reportSubject } from './subject.js'

/** The front of a mail that is read: what tells comes before the mail that is returned. */
const MAX_READ_BYTES = 256 * 1024
/** Each line costs the parser 10 to 30 µs; one that may part the mail costs more with every one before it. */
const MAX_LINES = 4000
const MAX_PARTING_LINES = 500
const MAX_TEXT = 32 * 1024
const LIMITS = { maxHeadersSize: 128 * 1024, maxNestingDepth: 120, forceRfc822Attachments: true }
/** Headers that hold the address a mail was brought to, the surest first. */
const PLACES = ['delivered-to', 'x-original-to', 'envelope-to', 'x-envelope-to', 'x-rcpt-to', 'to', 'cc']
const RETURNED = /^(message\/(rfc822|global|(rfc822|global)-headers)|text\/rfc822-headers)$/
const AUTO_SUBJECT =
  /^(re: ?)?(automatic reply|auto(matic)?[ -]?(reply|response|antwort)|out of (the )?office|abwesenheit|réponse automatique|away from)/i

/**
 * What a mail to the bounce address tells: RFC 3464 delivery status, RFC 5965 abuse report, a bounce in words, or
 * neither. Never throws, for any bytes, and reads at most 256 KB and 4000 lines of them. `envelopeRecipient` is the
 * address it was handed in for (`RCPT TO`), the surest sign of the delivery it is about.
 */
export async function readMailReport(raw: Buffer, envelopeRecipient?: string): Promise<MailReport> {
  const mail = await parse(frontOf(raw))
  if (mail === undefined) return { kind: 'other' }
  const header = (name: string) => mail.headers.find(({ key }) => key === name)?.value
  const parts = (type: RegExp) =>
    mail.attachments.flatMap((part) => (type.test(part.mimeType) ? [textOf(part)] : []))
  const text = bodyOf(mail)
  const feedback = parts(/^message\/feedback-report$/)
  const returned = parts(RETURNED)
  const places = PLACES.map((name) => header(name) ?? '')
  const subject = () =>
    reportSubject([envelopeRecipient ?? '', ...places, ...feedback], [...returned, text].join('\n\n'))
  const originalTo = () => addressIn(/^To:[ \t]*(.{1,300})$/im.exec(returned[0] ?? '')?.[1])
  const withRecipient = <T extends { recipient?: string }>(found: T): T => {
    const recipient = found.recipient ?? originalTo()
    return { ...found, ...(recipient === undefined ? {} : { recipient }), ...subject() }
  }

  for (const part of parts(/^message\/(global-)?delivery-status$/)) {
    const outcome = readDeliveryStatus(part)
    if (outcome !== undefined) return withRecipient(outcome)
  }
  for (const part of feedback) {
    const complaint = readFeedback(part)
    if (complaint !== undefined) return withRecipient({ kind: 'complaint' as const, ...complaint })
  }
  if (feedback.length > 0) return { kind: 'other' }
  const title = mail.subject ?? ''
  const automatic = AUTO_SUBJECT.test(title)
  const outcome = automatic
    ? undefined
    : readPlainBounce({
        from: mail.from?.address ?? '',
        nullSender: header('return-path')?.trim() === '<>',
        subject: title,
        text,
        failedRecipients: header('x-failed-recipients'),
      })
  if (outcome !== undefined) return withRecipient(outcome)
  return automatic || saysAutomatic(header) ? { kind: 'auto-reply' } : { kind: 'other' }
}

function frontOf(raw: Buffer): Buffer {
  const front = raw.subarray(0, MAX_READ_BYTES)
  let parting = 0
  let end = front.indexOf(0x0a)
  for (let lines = 0; end !== -1; end = front.indexOf(0x0a, end + 1)) {
    if (front[end + 1] === 0x2d && front[end + 2] === 0x2d) parting++
    if (++lines > MAX_LINES || parting > MAX_PARTING_LINES) return front.subarray(0, end)
  }
  return front
}

async function parse(raw: Buffer): Promise<Email | undefined> {
  try {
    return await PostalMime.parse(raw, LIMITS)
  } catch {
    // beyond the limits or no mail at all: it tells nothing, whatever it is
    return undefined
  }
}

function bodyOf({ text, html }: Email): string {
  const body = text ?? (html ?? '').slice(0, 2 * MAX_TEXT).replace(/<[^<>]*>/g, ' ')
  return body.slice(0, MAX_TEXT)
}

function textOf({ content }: Email['attachments'][number]): string {
  if (typeof content === 'string') return content.slice(0, MAX_TEXT)
  const bytes = content instanceof ArrayBuffer ? Buffer.from(content) : Buffer.from(content)
  return bytes.subarray(0, MAX_TEXT).toString('utf8')
}

/** RFC 3834, and what came before it. */
function saysAutomatic(header: (name: string) => string | undefined): boolean {
  const submitted = header('auto-submitted')?.trim().toLowerCase() ?? 'no'
  return (
    submitted !== 'no' ||
    header('x-autoreply') !== undefined ||
    header('x-autorespond') !== undefined ||
    /^(auto_reply|auto-reply)$/i.test(header('precedence')?.trim() ?? '')
  )
}
