import type { Frame, InboxItem } from '@carillon/contracts'
import type { InboxFilter } from '../api.js'
import type { PendingMark } from './marks.js'

/** One notification, as far as it is known. */
export interface Known {
  /** Undefined while only its marks were heard. */
  readonly item: InboxItem | undefined
  /** Marks and revision, where there is no item. */
  readonly marks: Partial<InboxItem>
  /** Gone for good: nothing that is said of it later counts. */
  readonly removed: boolean
  /** `heard` when something was last heard of it. */
  readonly at: number
}

/**
 * Everything that is known of an inbox. Of two states of a notification the one with the higher revision is the newer,
 * wherever it came from. A session lasts while no frame is lost.
 */
export interface InboxModel {
  readonly known: ReadonlyMap<string, Known>
  /** Counts what was heard: frames, pages and confirmations. Requests remember it. */
  readonly heard: number
  /** `heard` at the beginning of this session. */
  readonly sessionAt: number
  /** `heard` when something was let go of: pages from before may bring it back as it was. */
  readonly trimmedAt: number
  /** How far down each filter is loaded in this session: an id, or null for to the end. */
  readonly until: Readonly<Partial<Record<InboxFilter, string | null>>>
  /** Marks that the server has not confirmed, oldest first. */
  readonly pending: readonly PendingMark[]
  /** Unread ones that are not among the known ones. */
  readonly unknownUnread: number
  /** False when the count has to be asked for. */
  readonly counted: boolean
}

export const EMPTY_INBOX: InboxModel = {
  known: new Map(),
  heard: 0,
  sessionAt: 0,
  trimmedAt: 0,
  until: {},
  pending: [],
  unknownUnread: 0,
  counted: false,
}

/** What the server answered for one page: rows and count of one moment. */
export interface InboxPage {
  readonly notifications: readonly InboxItem[]
  readonly unread: number
  readonly next: string | null
}

/** The moment in which something was asked for. */
export type Asked = Pick<InboxModel, 'heard' | 'sessionAt'>

export interface PageRequest extends Asked {
  readonly filter: InboxFilter
  /** Id above the page; undefined for the newest. */
  readonly before: string | undefined
}

/** Frames may be missing from here on: pages have to be read again, and what is shown stays until they are. */
export function lose(model: InboxModel): InboxModel {
  const heard = model.heard + 1
  return { ...model, heard, sessionAt: heard, until: {}, counted: false }
}

/** Takes a frame in. One that says nothing new changes nothing: the same model comes back. */
export function hear(model: InboxModel, frame: Frame): InboxModel {
  if (frame.type === 'delivery.updated') return model
  const before = model.known.get(frame.id)
  const heard = model.heard + 1
  if (before === undefined && isLetGo(model, frame.id)) {
    return { ...model, heard, trimmedAt: heard, counted: false }
  }
  const after = before?.removed === true ? undefined : changed(before, frame, heard)
  if (after === undefined) return model
  const known = new Map(model.known).set(frame.id, after)
  const sameCount = before !== undefined && isUnread(before) === isUnread(after)
  return { ...model, known, heard, counted: isComplete(model) || (model.counted && sameCount) }
}

type InboxFrame = Exclude<Frame, { type: 'delivery.updated' }>

function changed(before: Known | undefined, frame: InboxFrame, at: number): Known | undefined {
  const known: Known = { item: before?.item, marks: before?.marks ?? {}, removed: false, at }
  if (frame.type === 'notification.removed') return { ...known, removed: true }
  if (frame.type === 'notification.created') {
    return before?.item === undefined ? withItem(known, frame.notification) : undefined
  }
  const { changes } = frame
  // the whole of what isn't held counts, though newer marks were heard already
  if (known.item === undefined && changes.title !== undefined)
    return withItem(known, { ...(changes as InboxItem), id: frame.id })
  if (before !== undefined && (changes.revision ?? 0) <= revisionOf(before)) return undefined
  return known.item === undefined
    ? { ...known, marks: changes }
    : { ...known, item: { ...known.item, ...changes } }
}

/** An item of which newer marks may be known. */
function withItem(known: Known, item: InboxItem): Known {
  const newer = known.item ?? known.marks
  return (newer.revision ?? -1) > item.revision
    ? { ...known, item: { ...item, ...newer }, marks: {} }
    : { ...known, item, marks: {} }
}

function revisionOf({ item, marks }: Known): number {
  return item?.revision ?? marks.revision ?? -1
}

/** Merges a page. One that was asked for before frames were lost or let go of is no good: the same model comes back. */
export function turn(model: InboxModel, request: PageRequest, page: InboxPage): InboxModel {
  if (request.sessionAt !== model.sessionAt || request.heard < model.trimmedAt) return model
  const { filter, before } = request
  const heard = model.heard + 1
  const rows = new Map(page.notifications.map((item) => [item.id, item]))
  const last = page.next === null ? null : (page.notifications.at(-1)?.id ?? null)
  // the first page of a session finds what is left of the one before, and replaces it
  const first = Object.keys(model.until).length === 0
  const known = new Map<string, Known>()
  for (const [id, entry] of model.known) {
    const covered = (before === undefined || id < before) && (last === null || id >= last)
    const missed = covered && !entry.removed && belongs(entry.item ?? entry.marks, filter)
    const outdated = entry.at <= (first ? model.sessionAt : request.heard) && (first || missed)
    if (rows.has(id) || !outdated) known.set(id, entry)
  }
  for (const [id, row] of rows) {
    const entry = known.get(id) ?? { item: undefined, marks: {}, removed: false, at: 0 }
    const same = entry.item !== undefined && entry.item.revision >= row.revision
    if (!entry.removed && !same) known.set(id, withItem({ ...entry, at: heard }, row))
  }
  const merged = { ...model, known, until: reach(model.until, request, last) }
  return { ...settle(merged, page.unread, request.heard), heard }
}

function reach(until: InboxModel['until'], request: PageRequest, last: string | null): InboxModel['until'] {
  const { filter, before } = request
  const now = until[filter]
  const joins = before === undefined || (now !== undefined && (now === null || before >= now))
  if (!joins || now === null) return until
  return { ...until, [filter]: last === null || now === undefined || last < now ? last : now }
}

/**
 * Lets go of the oldest when more than `most` are known: they can be read again as further pages. What lies below is no
 * longer loaded, under any filter.
 */
export function trim(model: InboxModel, most: number): InboxModel {
  if (model.known.size <= most || Object.keys(model.until).length === 0) return model
  const newest = [...model.known].sort(([a], [b]) => (a < b ? 1 : -1))
  const kept = new Map(newest.slice(0, most))
  const lowest = newest[most - 1]?.[0] ?? ''
  let unread = 0
  for (const [, entry] of newest.slice(most)) if (isUnread(entry)) unread += 1
  const until = { ...model.until }
  for (const filter of Object.keys(until) as InboxFilter[]) {
    const now = until[filter]
    if (typeof now !== 'string' || now < lowest) until[filter] = lowest
  }
  const heard = model.heard + 1
  return {
    ...model,
    known: kept,
    heard,
    trimmedAt: heard,
    until,
    unknownUnread: model.unknownUnread + unread,
  }
}

/** After something was let go of, nothing is kept of what lies below all that is loaded. */
function isLetGo({ trimmedAt, sessionAt, until }: InboxModel, id: string): boolean {
  const lowest = Object.values(until)
  return trimmedAt > sessionAt && lowest.length > 0 && lowest.every((one) => one !== null && id < one)
}

/** Takes in the server's count; it is only exact when nothing happened since it was asked for. */
export function count(model: InboxModel, unread: number, asked: Asked): InboxModel {
  return asked.sessionAt === model.sessionAt ? settle(model, unread, asked.heard) : model
}

function settle(model: InboxModel, unread: number, heard: number): InboxModel {
  if (isComplete(model)) return { ...model, unknownUnread: 0, counted: true }
  let known = 0
  for (const entry of model.known.values()) if (isUnread(entry)) known += 1
  const quiet = model.heard === heard && !model.pending.some(({ sent }) => sent !== undefined)
  return { ...model, unknownUnread: Math.max(0, unread - known), counted: quiet }
}

/** True when every unread notification is known. */
export function isComplete({ until }: InboxModel): boolean {
  return until.all === null || until.unread === null
}

/** Whether something of these marks is listed under a filter; false when the marks are not known. */
export function belongs(marks: Partial<InboxItem>, filter: InboxFilter): boolean {
  const { readAt, archivedAt, snoozedUntil } = marks
  if (filter === 'archived') return typeof archivedAt === 'string'
  if (filter === 'snoozed') return typeof snoozedUntil === 'string'
  return archivedAt === null && snoozedUntil === null && (filter === 'all' || readAt === null)
}

function isUnread({ item, marks, removed }: Known): boolean {
  return !removed && belongs(item ?? marks, 'unread')
}
