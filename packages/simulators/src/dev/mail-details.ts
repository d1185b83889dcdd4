import { record, type SimulatedMessage } from '../inbox.js'
import { checkDkim, type DkimKeys, type DkimResult } from './dkim.js'

/** What a mail program could tell of a mail besides its words. */
export interface MailDetails {
  text: string
  hasHtml: boolean
  /** As they stand in the mail, unfolded, in order. */
  headers: { name: string; value: string }[]
  /** MAIL FROM: where it comes back to. */
  returnPath: string
  messageId: string
  dkim: DkimResult
  /** Where one click unsubscribes (RFC 8058); absent without both List headers. */
  unsubscribe?: string
}

export function mailDetails(mail: SimulatedMessage, keys: DkimKeys): MailDetails {
  const source = sourceOf(mail)
  const headers = headersOf(source)
  const unsubscribe = oneClickUrl(headers)
  return {
    text: mail.body,
    hasHtml: mail.html !== undefined,
    headers,
    returnPath: returnPathOf(mail),
    messageId: String(record(mail.raw).messageId ?? ''),
    dkim: checkDkim(source, keys),
    ...(unsubscribe === undefined ? {} : { unsubscribe }),
  }
}

export function sourceOf(mail: SimulatedMessage): string {
  return String(record(mail.raw).source ?? '')
}

export function returnPathOf(mail: SimulatedMessage): string {
  return String(record(mail.raw).from ?? '')
}

function headersOf(source: string): MailDetails['headers'] {
  const end = source.indexOf('\r\n\r\n')
  const fields = source.slice(0, Math.max(0, end)).split(/\r\n(?![ \t])/)
  return fields.flatMap((field) => {
    const colon = field.indexOf(':')
    const value = field.slice(colon + 1).replace(/\r\n[ \t]*/g, ' ')
    return colon > 0 ? [{ name: field.slice(0, colon), value: value.trim() }] : []
  })
}

function oneClickUrl(headers: MailDetails['headers']): string | undefined {
  const of = (wanted: string) => headers.find(({ name }) => name.toLowerCase() === wanted)?.value ?? ''
  if (!/^List-Unsubscribe=One-Click$/i.test(of('list-unsubscribe-post'))) return undefined
  return /<(https?:[^>]+)>/i.exec(of('list-unsubscribe'))?.[1]
}
