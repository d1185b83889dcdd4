import type { InboxItem } from '@carillon/contracts'
import type { InboxFilter } from '../api.js'
import { changesOf, type PendingMark } from './marks.js'
import { belongs, type InboxModel } from './model.js'

export interface InboxView {
  /** Newest first, down to where the filter is loaded. */
  readonly items: readonly InboxItem[]
  readonly unread: number
  readonly hasMore: boolean
}

/** What a person sees under a filter, with what they did and the server has not confirmed yet. */
export function view(model: InboxModel, filter: InboxFilter): InboxView {
  const until = model.until[filter] ?? null
  const items: InboxItem[] = []
  let unread = model.pending.some(({ mark }) => mark.kind === 'read-all') ? 0 : model.unknownUnread
  for (const [id, entry] of model.known) {
    if (entry.removed) continue
    const item = shown(id, entry.item ?? entry.marks, model.pending)
    if (item === undefined) continue
    if (belongs(item, 'unread')) unread += 1
    const listed = belongs(item, filter) && (until === null || id >= until)
    if (listed && entry.item !== undefined) items.push(item as InboxItem)
  }
  items.sort((a, b) => (a.id < b.id ? 1 : -1))
  return { items, unread, hasMore: until !== null }
}

function shown(
  id: string,
  item: Partial<InboxItem>,
  pending: readonly PendingMark[],
): Partial<InboxItem> | undefined {
  let now = item
  for (const { mark, at } of pending) {
    if (!mark.ids.includes(id)) continue
    const changes = changesOf(now, mark, at)
    if (changes === undefined) return undefined
    now = { ...now, ...changes }
  }
  return now
}

/**
 * The page that has to be read because something came into view of which only the marks are known: the id above it,
 * undefined for the newest page. Null when nothing is missing.
 */
export function missing(model: InboxModel, filter: InboxFilter): { before: string | undefined } | null {
  const until = model.until[filter]
  if (until === undefined) return null
  for (const [id, { item, marks, removed }] of model.known) {
    if (item !== undefined || removed || !belongs(marks, filter)) continue
    if (until !== null && id < until) continue
    return { before: view(model, filter).items.findLast((other) => other.id > id)?.id }
  }
  return null
}
