import type { Frame, InboxItem } from '@carillon/contracts'
import type { InboxFilter, InboxSnapshot, Problem } from '../api.js'
import { backoffMs, createAlarm } from '../backoff.js'
import { CarillonError, problemOf } from '../errors.js'
import { Announcements } from './announcements.js'
import { MarkQueue } from './mark-queue.js'
import type { Mark, PendingMark } from './marks.js'
import { belongs, count, EMPTY_INBOX, hear, type InboxModel, lose, trim, turn } from './model.js'
import type { RemoteInbox } from './remote.js'
import { missing, view } from './view.js'

/** The count is asked for this long after the last change that made it unsure, spread over as much again. */
const COUNT_AFTER_MS = 250
/** Notifications of a page that is open for weeks: more than these are let go of, the oldest first. */
const MAX_KNOWN = 2_000
const MAX_PAGE = 100
const RELOAD_SPREAD_MS = 1_000

export interface InboxSyncDeps {
  remote: RemoteInbox
  pageSize: number
  now: () => number
  changed: () => void
  arrived: (notification: InboxItem) => void
  keep: (waiting: readonly PendingMark[]) => void
}

type Shown = Omit<InboxSnapshot, 'filter'>

/** Keeps the model of an inbox up to date: reads the pages it lacks, asks for the count when it is unsure, sends marks. */
export class InboxSync {
  readonly #deps: InboxSyncDeps
  readonly #queue: MarkQueue
  readonly #filters = new Set<InboxFilter>()
  readonly #loading = new Map<string, Promise<void>>()
  readonly #failed = new Set<InboxFilter>()
  readonly #announcements: Announcements
  readonly #count = createAlarm(() => void this.#askCount())
  readonly #again = createAlarm(() => {
    this.#calm = false
    this.#failed.clear()
    this.#tend()
  })
  #model: InboxModel = EMPTY_INBOX
  #error: Problem | null = null
  #failures = 0
  #live = false
  #calm = false
  #stopped = false

  constructor(deps: InboxSyncDeps) {
    this.#deps = deps
    this.#announcements = new Announcements(deps.arrived)
    this.#queue = new MarkQueue({
      model: () => this.#model,
      change: (model) => this.#change(model),
      send: (mark) => deps.remote.mark(mark),
      keep: deps.keep,
      refused: (error) => {
        this.#error = problemOf(error)
        deps.changed()
      },
      now: deps.now,
    })
  }

  shown(filter: InboxFilter): Shown {
    const { items, unread, hasMore } = view(this.#model, filter)
    const loaded = this.#model.until[filter] !== undefined
    const loadingMore = this.#loading.has(`${filter} more`)
    const pending = this.#filters.has(filter) ? 'loading' : 'idle'
    const status = this.#failed.has(filter) ? 'failed' : loaded ? 'ready' : pending
    return { status, items, unread, hasMore, loadingMore, error: this.#error }
  }

  /** The newest page as it is kept for the next visit; undefined until it was read. */
  kept(): { items: readonly InboxItem[]; unread: number } | undefined {
    if (this.#model.until.all === undefined) return undefined
    const { items, unread } = view({ ...this.#model, pending: [] }, 'all')
    return { items: items.slice(0, this.#deps.pageSize), unread }
  }

  /** Shows what was known, until the first page is read. */
  restore(of: { items: readonly InboxItem[]; unread: number }): void {
    if (this.#model.known.size > 0 || this.#model.until.all !== undefined) return
    const known = new Map(
      of.items.map((item) => [item.id, { item, marks: {}, removed: false, at: 0 }] as const),
    )
    const listed = of.items.filter((item) => belongs(item, 'unread')).length
    this.#change({ ...this.#model, known, unknownUnread: Math.max(0, of.unread - listed) })
  }

  /** Another host told of everything up to this id: what the first page has above it is told now. */
  announceAbove(id: string): void {
    this.#announcements.missed(id)
  }

  /** Takes up what waited since the last visit. Nothing is sent before this. */
  restoreMarks(waiting: readonly PendingMark[]): void {
    this.#queue.restore(waiting)
  }

  /** Filters that somebody looks at. */
  use(filters: Iterable<InboxFilter>): void {
    this.#filters.clear()
    for (const filter of filters) this.#filters.add(filter)
    this.#tend()
  }

  /** The connection hears the person's frames; those since the last time came or come, if `recovered`. */
  joined(recovered: boolean): void {
    this.#live = true
    this.#failures = 0
    this.#failed.clear()
    if (!recovered) {
      // a restart of the stream is told to everybody at once: who has something to show does not ask at once
      this.#calm = Object.keys(this.#model.until).length > 0
      this.#again.clear()
      if (this.#calm) this.#again.set(Math.random() * RELOAD_SPREAD_MS)
      this.#change(lose(this.#model))
    }
    this.#queue.retry()
    this.#tend()
  }

  /** The connection is gone; nothing is known to be lost yet. */
  left(): void {
    this.#live = false
  }

  hear(frame: Frame): void {
    const before = frame.type === 'delivery.updated' ? undefined : this.#model.known.get(frame.id)
    this.#change(trim(hear(this.#model, frame), MAX_KNOWN))
    this.#announcements.heard(frame, before?.item, this.#model.known.get(frame.id)?.item)
  }

  /** @throws CarillonError, UnauthorizedError */
  load(filter: InboxFilter): Promise<void> {
    return this.#load(filter, undefined)
  }

  /** @throws CarillonError, UnauthorizedError */
  async loadMore(filter: InboxFilter): Promise<void> {
    const until = this.#model.until[filter]
    if (typeof until === 'string') await this.#load(filter, until, 'more')
  }

  /** @throws CarillonError, UnauthorizedError */
  mark(mark: Mark): Promise<void> {
    this.#error = null
    return this.#queue.add(mark)
  }

  /** @throws CarillonError, UnauthorizedError */
  readAll(): Promise<void> {
    const ids = view(this.#model, 'unread').items.map(({ id }) => id)
    // kept for later it would also mark what nobody has seen by then
    return this.mark(this.#live ? { kind: 'read-all', ids } : { kind: 'read', ids, set: true })
  }

  /** Nothing of a person is kept or shown any more. */
  forget(): void {
    this.#live = false
    this.#announcements.clear()
    this.#queue.giveUp(new CarillonError('UNAUTHORIZED', 'Nobody is signed in any more.'))
    this.#change({ ...EMPTY_INBOX, heard: this.#model.heard + 1, sessionAt: this.#model.heard + 1 })
  }

  stop(): void {
    this.#stopped = true
    this.#count.clear()
    this.#again.clear()
    this.#queue.stop()
  }

  #change(model: InboxModel): void {
    if (model === this.#model || this.#stopped) return
    this.#model = model
    this.#deps.changed()
    this.#tend()
  }

  /** Does what the model lacks, while frames are heard. */
  #tend(): void {
    if (!this.#live || this.#stopped || this.#calm) return
    const filters = new Set(this.#filters)
    if (this.#announcements.waits) filters.add('all')
    for (const filter of filters) {
      if (this.#model.until[filter] === undefined) void this.#quietly(filter, undefined)
      else {
        const gap = missing(this.#model, filter)
        if (gap !== null) void this.#quietly(filter, gap.before)
      }
    }
    if (!this.#model.counted) this.#count.set(COUNT_AFTER_MS * (1 + Math.random()))
  }

  async #quietly(filter: InboxFilter, before: string | undefined): Promise<void> {
    if (this.#failed.has(filter)) return
    await this.#load(filter, before).catch(() => this.#again.set(backoffMs(this.#failures)))
  }

  #load(filter: InboxFilter, before: string | undefined, key = 'first'): Promise<void> {
    const name = `${filter} ${key}`
    const running = this.#loading.get(name)
    if (running !== undefined) return running
    const loading = this.#read(filter, before).finally(() => {
      this.#loading.delete(name)
      this.#deps.changed()
      this.#tend()
    })
    this.#loading.set(name, loading)
    this.#deps.changed()
    return loading
  }

  async #read(filter: InboxFilter, before: string | undefined): Promise<void> {
    const { heard, sessionAt } = this.#model
    try {
      const page = await this.#deps.remote.page({ filter, before, limit: this.#limit(filter, before) })
      this.#failures = 0
      this.#failed.delete(filter)
      this.#error = null
      this.#change(turn(this.#model, { filter, before, heard, sessionAt }, page))
      if (filter === 'all' && sessionAt === this.#model.sessionAt)
        this.#announcements.read(page.notifications)
    } catch (error) {
      this.#failures += 1
      // pages that were read before the connection was lost are still good enough to show
      if (!this.#live || sessionAt === this.#model.sessionAt) this.#failed.add(filter)
      this.#error = problemOf(error)
      throw error
    }
  }

  /** What is shown already is read again in one page, so that nobody's list shrinks while they look at it. */
  #limit(filter: InboxFilter, before: string | undefined): number {
    const { pageSize } = this.#deps
    if (before !== undefined) return pageSize
    return Math.min(MAX_PAGE, Math.max(pageSize, view(this.#model, filter).items.length))
  }

  async #askCount(): Promise<void> {
    if (!this.#live || this.#model.counted) return
    const asked = this.#model
    try {
      const unread = await this.#deps.remote.unread()
      this.#change(count(this.#model, unread, asked))
    } catch {
      this.#failures += 1
      this.#again.set(backoffMs(this.#failures))
      return
    }
    this.#tend()
  }
}
