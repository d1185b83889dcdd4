import type { InboxAction, InboxItem } from './messages.js'

/** The part of an inbox item that was rendered. */
export type ShownContent = Pick<
  InboxItem,
  'title' | 'subtitle' | 'body' | 'picture' | 'url' | 'actions' | 'data'
>

/** What an inbox shows of the content that a run keeps for it; `content` is as it was stored. */
export function shownContent(content: unknown): ShownContent {
  const { title, subtitle, body, imageUrl, url, actions, data } = (content ?? {}) as Record<string, unknown>
  return {
    title: textOr(title, ''),
    subtitle: textOr(subtitle, null),
    body: textOr(body, ''),
    picture: textOr(imageUrl, null),
    url: textOr(url, null),
    actions: Array.isArray(actions) ? actions.flatMap(shownAction) : [],
    data: data ?? null,
  }
}

function shownAction(action: unknown): InboxAction[] {
  const { id, title, url } = (action ?? {}) as Record<string, unknown>
  return typeof id === 'string' && typeof title === 'string'
    ? [{ id, label: title, url: textOr(url, null) }]
    : []
}

function textOr<T>(value: unknown, absent: T): string | T {
  return typeof value === 'string' ? value : absent
}
