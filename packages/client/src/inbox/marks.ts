import type { InboxItem } from '@carillon/contracts'
import { belongs, type InboxModel, type Known } from './model.js'

/** A change that a person made. */
export type Mark =
  | { readonly kind: 'seen' | 'read' | 'archived'; readonly ids: readonly string[]; readonly set: boolean }
  /** `until` null ends a snooze. */
  | { readonly kind: 'snoozed'; readonly ids: readonly string[]; readonly until: string | null }
  | { readonly kind: 'delete'; readonly ids: readonly string[] }
  /** `ids`: those that were known and unread. */
  | { readonly kind: 'read-all'; readonly ids: readonly string[] }

/** A mark that the server has not confirmed yet. */
export interface PendingMark {
  readonly key: string
  readonly mark: Mark
  /** RFC 3339: what is shown until the server says its own. */
  readonly at: string
  /** `heard` when it was sent; undefined while it waits. */
  readonly sent: number | undefined
}

type Marks = Partial<Omit<InboxItem, 'id'>>

/** What a mark does to a notification, as the server will do it; undefined when it takes it away. */
export function changesOf(item: Partial<InboxItem>, mark: Mark, at: string): Marks | undefined {
  const seenAt = item.seenAt ?? at
  switch (mark.kind) {
    case 'delete':
      return undefined
    case 'seen':
      return { seenAt: mark.set ? seenAt : null }
    case 'read':
      return mark.set ? { readAt: item.readAt ?? at, seenAt } : { readAt: null }
    case 'read-all':
      return belongs(item, 'unread') ? { readAt: at, seenAt } : {}
    case 'archived':
      return mark.set ? { archivedAt: item.archivedAt ?? at, snoozedUntil: null } : { archivedAt: null }
    case 'snoozed':
      return mark.until === null
        ? { snoozedUntil: null }
        : { snoozedUntil: mark.until, archivedAt: null, seenAt }
  }
}

/**
 * Shows a mark before it is sent. Of marks that wait, the last one of a kind wins: earlier ones of the same kind lose the
 * ids they share with it.
 */
export function begin(model: InboxModel, pending: PendingMark): InboxModel {
  const { kind, ids } = pending.mark
  const earlier = model.pending.flatMap((one) => {
    if (one.sent !== undefined || one.mark.kind !== kind || kind === 'read-all') return [one]
    const left = one.mark.ids.filter((id) => !ids.includes(id))
    return left.length === 0 ? [] : [{ ...one, mark: { ...one.mark, ids: left } }]
  })
  return { ...model, pending: [...earlier, pending] }
}

/** The mark is on its way. */
export function send(model: InboxModel, key: string): InboxModel {
  return replace(model, key, model.heard)
}

/** The mark could not be sent, or nobody knows whether it was done: it waits again. */
export function postpone(model: InboxModel, key: string): InboxModel {
  // it may have been done: a count that comes meanwhile can't tell
  return { ...replace(model, key, undefined), heard: model.heard + 1, counted: false }
}

function replace(model: InboxModel, key: string, sent: number | undefined): InboxModel {
  return { ...model, pending: model.pending.map((one) => (one.key === key ? { ...one, sent } : one)) }
}

/** The server refused the mark, or it is given up: what it showed is taken back. */
export function refuse(model: InboxModel, key: string): InboxModel {
  return { ...model, heard: model.heard + 1, pending: model.pending.filter((one) => one.key !== key) }
}

/**
 * The server has done it, and its frames say so before or after this. Until they come the mark is kept under the old
 * revision, so that anything newer beats it; where something newer was heard since it was sent, that counts already.
 */
export function confirm(model: InboxModel, key: string): InboxModel {
  const done = model.pending.find((one) => one.key === key)
  if (done === undefined) return model
  const heard = model.heard + 1
  const known = new Map(model.known)
  for (const id of done.mark.ids) {
    const entry = known.get(id)
    if (entry !== undefined && entry.at <= (done.sent ?? -1)) known.set(id, folded(entry, done))
  }
  return {
    ...model,
    known,
    heard,
    pending: model.pending.filter((one) => one !== done),
    unknownUnread: done.mark.kind === 'read-all' ? 0 : model.unknownUnread,
    counted: false,
  }
}

function folded(entry: Known, { mark, at }: PendingMark): Known {
  const changes = changesOf(entry.item ?? entry.marks, mark, at)
  if (changes === undefined) return { ...entry, removed: true }
  return entry.item === undefined ? entry : { ...entry, item: { ...entry.item, ...changes } }
}
