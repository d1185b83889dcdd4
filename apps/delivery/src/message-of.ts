import type { Message } from '@carillon/channels'
import { UNSUBSCRIBE_PLACE } from '@carillon/contracts'
import type { ClaimedDelivery } from '@carillon/postgres'

/** What a message is made of. */
export type Said = Pick<
  ClaimedDelivery,
  'runId' | 'step' | 'channel' | 'lane' | 'expiresAt' | 'collapseKey' | 'content'
>

const TEXTS = ['title', 'body', 'url', 'imageUrl', 'subject', 'html'] as const

/** What a stored delivery says, in the words of the channels. Pure. */
export function messageOf(delivery: Said): Message {
  const content = contentOf(delivery)
  const message: Message = { priority: delivery.lane === 'bulk' ? 'normal' : 'high' }
  for (const field of TEXTS) {
    const text = content[field]
    if (typeof text === 'string' && text !== '') message[field] = text
  }
  const data = stringsOf(content.data)
  if (data !== undefined) message.data = data
  if (delivery.expiresAt !== null) message.expiresAt = delivery.expiresAt.getTime()
  // without a key of the workflow's own, a repeated attempt still replaces itself
  message.collapseKey = delivery.collapseKey ?? delivery.runId
  return message
}

/** The message with a link wherever its texts leave room for the one that ends the mails. */
export function withUnsubscribeLink(message: Message, link: string): Message {
  const filled = { ...message }
  for (const field of TEXTS) {
    const text = filled[field]
    if (text !== undefined) filled[field] = text.replaceAll(UNSUBSCRIBE_PLACE, () => link)
  }
  return filled
}

/** The step's own texts over the shared ones. */
function contentOf(delivery: Said): Record<string, unknown> {
  return { ...delivery.content?.inbox, ...delivery.content?.[String(delivery.step)] }
}

/** Push payloads carry text alone; other values are given as JSON. */
function stringsOf(data: unknown): Record<string, string> | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}
