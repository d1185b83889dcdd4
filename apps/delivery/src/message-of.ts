import type { Action, Message } from '@carillon/channels'
import { type SaidOptions, UNSUBSCRIBE_PLACE } from '@carillon/contracts'
import type { ClaimedDelivery } from '@carillon/postgres'

/** What a message is made of. */
export type Said = Pick<
  ClaimedDelivery,
  'runId' | 'step' | 'channel' | 'lane' | 'expiresAt' | 'collapseKey' | 'content' | 'unread'
>

const TEXTS = ['title', 'subtitle', 'body', 'url', 'imageUrl', 'subject', 'html', 'replyTo'] as const

/** Options that a message has under the same name. */
const SAME = [
  ...(['silent', 'dataOnly', 'priority', 'ttlSeconds', 'collapseKey', 'sound', 'channelId'] as const),
  ...(['threadId', 'interruption', 'relevanceScore', 'analyticsLabel', 'replyTo', 'overrides'] as const),
]

/** What a stored delivery says, in the words of the channels. Pure. */
export function messageOf(delivery: Said): Message {
  const content = contentOf(delivery)
  const options = (content.options ?? {}) as SaidOptions
  const message: Message = { priority: isPressing(delivery) ? 'high' : 'normal' }
  for (const field of TEXTS) {
    const text = content[field]
    if (typeof text === 'string' && text !== '') message[field] = text
  }
  const actions = content.actions as Action[] | undefined
  if (actions !== undefined && actions.length > 0) message.actions = actions
  const data = stringsOf(content.data)
  if (data !== undefined) message.data = data
  if (delivery.expiresAt !== null) message.expiresAt = delivery.expiresAt.getTime()
  // without a key of the workflow's own, a repeated attempt still replaces itself
  message.collapseKey = delivery.collapseKey ?? delivery.runId
  for (const name of SAME) if (options[name] !== undefined) Object.assign(message, { [name]: options[name] })
  if (delivery.channel !== 'push') return message
  const badge = badgeOf(options.badge, delivery.unread)
  if (badge !== null) message.badge = badge
  if (options.liveActivity !== undefined) addLiveActivity(message, options.liveActivity)
  return message
}

/** The message with a link wherever it leaves room for the one that ends the mails. */
export function withUnsubscribeLink(message: Message, link: string): Message {
  const filled = { ...message }
  const fill = (text: string) => text.replaceAll(UNSUBSCRIBE_PLACE, () => link)
  for (const field of TEXTS) {
    const text = filled[field]
    if (text !== undefined) filled[field] = fill(text)
  }
  if (filled.actions !== undefined) {
    filled.actions = filled.actions.flatMap((action) => {
      const url = action.url && fill(action.url)
      // a button that has nowhere to lead is none
      if (url === '') return []
      return [{ ...action, title: fill(action.title), ...(url === undefined ? {} : { url }) }]
    })
  }
  return filled
}

/** A push should wake its phone unless it is one of very many; a mail that calls itself urgent had better be. */
function isPressing({ channel, lane }: Said): boolean {
  return channel === 'email' ? lane === 'high' : lane !== 'bulk'
}

/** A step's own texts, which are whole, or the shared ones; and how the step is sent. */
function contentOf({ content, step }: Said): Record<string, unknown> {
  const own = content?.[String(step)]
  const saysItself = own !== undefined && Object.keys(own).some((field) => field !== 'options')
  return saysItself ? own : { ...content?.inbox, ...own }
}

function badgeOf(badge: SaidOptions['badge'] = 'unread', unread: number | null): number | null {
  if (badge === 'none') return null
  return badge === 'unread' ? unread : badge
}

/** A device without the activity is shown the words; without words it is shown nothing, rather than an empty banner. */
function addLiveActivity(message: Message, said: NonNullable<SaidOptions['liveActivity']>): void {
  const { id: _reachedByItsAddress, ...activity } = said
  message.liveActivity = activity
  if (message.title === undefined && message.body === undefined) message.dataOnly = true
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
