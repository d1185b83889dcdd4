import type { Readable } from 'node:stream'
import PostalMime from 'postal-mime'
import type { Arriving } from './inbox.js'
import type { ProviderParts } from './provider-parts.js'
import { type ArrivalTotals, type Receivers, receive } from './receiver.js'

interface ArrivingMail {
  stream: Readable
  session: { envelope: { rcptTo: { address: string }[]; mailFrom: false | { address: string } } }
  parts: ProviderParts
  mailboxes: Receivers
  counters: ArrivalTotals
}

/** Reads a mail and puts it into the mailbox of each recipient. Throws what reading or parsing throws. */
export async function keepMail({
  stream,
  session,
  parts: { inbox },
  mailboxes,
  counters,
}: ArrivingMail): Promise<void> {
  const read: Buffer[] = []
  for await (const part of stream) read.push(part as Buffer)
  const source = Buffer.concat(read)
  const mail = await PostalMime.parse(source)
  const headers = Object.fromEntries(mail.headers.map(({ key, value }) => [key, value]))
  const { mailFrom, rcptTo } = session.envelope
  for (const { address } of rcptTo) {
    const message: Arriving = {
      provider: 'smtp',
      device: address,
      to: address,
      title: mail.subject ?? '',
      body: mail.text ?? '',
      ...(mail.html === undefined ? {} : { html: mail.html }),
      ...optional('nid', headers['x-carillon-notification']),
      ...optional('did', headers['x-carillon-delivery']),
      ...optional('rt', headers['x-carillon-receipt']),
      silent: false,
      raw: {
        headers,
        from: mailFrom ? mailFrom.address : '',
        messageId: mail.messageId ?? '',
        source: source.toString('utf8'),
      },
    }
    inbox.add(message, (arrived) => receive(mailboxes.of(address), arrived, counters))
  }
}

function optional(key: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [key]: value }
}
