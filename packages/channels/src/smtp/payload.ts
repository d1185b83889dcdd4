import type { MailDefaults } from 'nodemailer'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'
import { oneLine, shortHash } from '../text.js'
import type { SmtpCredentials } from './credentials.js'
import { textOfHtml } from './html-text.js'

/** Bytes of text and html together; servers take 10 MB and more, readers don't. */
export const SMTP_MAX_BYTES = 1_000_000

/** Mail fields that the caller may override, with texts. Recipients, envelope and Message-ID are not among them. */
const OVERRIDABLE = new Set([
  'subject',
  'text',
  'html',
  'replyTo',
  'amp',
  'priority',
  'inReplyTo',
  'references',
])

export type Mail = MailDefaults & { messageId: string }

/**
 * Our message as a mail to one person. Message-ID comes from the delivery id, so a repeated attempt is the same mail
 * to every server that looks. A text part is always there. The receipt token stands in `X-Carillon-Receipt`.
 */
export function smtpPayload(outgoing: OutgoingTo<'email'>, credentials: SmtpCredentials): Mail {
  const { message, address } = outgoing
  const domain = credentials.bounceDomain ?? credentials.from.split('@')[1] ?? 'localhost'
  const bounce =
    credentials.bounceDomain === undefined
      ? credentials.from
      : `${outgoing.bounceTo ?? `bounce+${outgoing.deliveryId}`}@${credentials.bounceDomain}`
  // An object in place of a text would be a file or a URL to fetch.
  const overrides = Object.entries(message.overrides?.smtp ?? {}).filter(
    ([key, value]) => OVERRIDABLE.has(key) && typeof value === 'string' && value !== '',
  )
  const unsubscribe = message.listUnsubscribeUrl
  const built = {
    subject: oneLine(message.subject ?? message.title ?? ''),
    text: textPart(outgoing),
    ...(message.html === undefined ? {} : { html: message.html }),
    ...(message.replyTo === undefined ? {} : { replyTo: oneLine(message.replyTo) }),
    ...(message.collapseKey === undefined
      ? {}
      : { references: `<${shortHash(message.collapseKey, 24)}@thread.${domain}>` }),
    ...(message.priority === 'high' ? { priority: 'high' } : {}),
  }
  return {
    ...mergeDeep(built, Object.fromEntries(overrides)),
    from: { name: oneLine(credentials.fromName ?? ''), address: credentials.from },
    to: { name: oneLine(address.name ?? ''), address: address.email },
    envelope: { from: bounce, to: [address.email] },
    messageId: `<${outgoing.deliveryId}@${domain}>`,
    disableFileAccess: true,
    disableUrlAccess: true,
    headers: {
      'Auto-Submitted': 'auto-generated',
      'X-Carillon-Notification': outgoing.notificationId,
      'X-Carillon-Delivery': outgoing.deliveryId,
      'X-Carillon-Receipt': outgoing.receiptToken,
      ...(unsubscribe === undefined
        ? {}
        : {
            'List-Unsubscribe': { prepared: true, value: `<${unsubscribeUrl(unsubscribe)}>` },
            'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
          }),
    },
  } as Mail
}

/** What counts against the limit. */
export function smtpMeasured(mail: Mail): string {
  return `${String(mail.text ?? '')}${String(mail.html ?? '')}`
}

function textPart({ message }: OutgoingTo<'email'>): string {
  const actions = (message.actions ?? []).flatMap(({ title, url }) =>
    url === undefined ? [] : [`${title}: ${url}`],
  )
  const body = message.body || textOfHtml(message.html ?? '')
  const lines = [body, message.url, ...actions].filter((line) => line !== undefined && line !== '')
  return lines.length > 0 ? lines.join('\n\n') : oneLine(message.title ?? message.subject ?? '')
}

function unsubscribeUrl(url: string): string {
  return oneLine(url).replace(/[<>\s]/g, encodeURIComponent)
}
