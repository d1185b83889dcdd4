import type { InboxAction, InboxItem } from './messages.js'
import type { Lane } from './words.js'

/** The part of an inbox item that was rendered. */
export type ShownContent = Pick<
  InboxItem,
  'title' | 'subtitle' | 'body' | 'picture' | 'url' | 'actions' | 'data'
>

/** The part of an inbox item that changes. */
export type InboxMarks = Pick<InboxItem, 'seenAt' | 'readAt' | 'archivedAt' | 'snoozedUntil' | 'revision'>

/** Marks as they are stored. */
export interface StoredMarks {
  readonly id: string
  readonly seenAt: Date | null
  readonly readAt: Date | null
  readonly archivedAt: Date | null
  readonly snoozedUntil: Date | null
  readonly revision: number
}

/** A notification as it is stored. `content` is what the inbox shows, rendered; null when it shows nothing. */
export interface StoredNotification extends StoredMarks {
  readonly workflow: string
  readonly category: string | null
  readonly lane: Lane
  readonly content: unknown
  readonly createdAt: Date
}

/** A stored notification as clients see it, over HTTP and in frames. */
export function inboxItem(stored: StoredNotification): InboxItem {
  return {
    id: stored.id,
    workflow: stored.workflow,
    category: stored.category,
    ...shownContent(stored.content),
    lane: stored.lane,
    createdAt: stored.createdAt.toISOString(),
    ...inboxMarks(stored),
  }
}

/** The marks of a notification, all of them: who applies them again changes nothing. */
export function inboxMarks(stored: StoredMarks): InboxMarks {
  return {
    seenAt: stored.seenAt?.toISOString() ?? null,
    readAt: stored.readAt?.toISOString() ?? null,
    archivedAt: stored.archivedAt?.toISOString() ?? null,
    snoozedUntil: stored.snoozedUntil?.toISOString() ?? null,
    revision: stored.revision,
  }
}

/** What an inbox shows of the content that a run keeps for it; `content` is as it was stored. */
function shownContent(content: unknown): ShownContent {
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
