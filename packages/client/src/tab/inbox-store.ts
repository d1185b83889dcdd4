import type { InboxItem } from '@carillon/contracts'
import type { InboxFilter, InboxSnapshot, InboxStore } from '../api.js'
import type { Call, HostEvent } from '../host/messages.js'
import { Listeners } from './listeners.js'

const NOTHING: InboxSnapshot = {
  status: 'idle',
  items: [],
  unread: 0,
  filter: 'all',
  hasMore: false,
  loadingMore: false,
  error: null,
}

/** A tab's view of the inbox that its host keeps. */
export class TabInbox implements InboxStore {
  readonly #call: (call: Call) => Promise<unknown>
  readonly #listeners = new Listeners<void>()
  #snapshot = NOTHING

  constructor(call: (call: Call) => Promise<unknown>) {
    this.#call = call
  }

  hear({ filter, shown }: Extract<HostEvent, { type: 'inbox' }>): void {
    if (filter !== this.#snapshot.filter) return
    const items = keepSame(this.#snapshot.items, shown.items)
    const next = { ...shown, items, filter }
    const same = (Object.keys(next) as (keyof InboxSnapshot)[]).every((name) =>
      name === 'error'
        ? next.error?.message === this.#snapshot.error?.message
        : next[name] === this.#snapshot[name],
    )
    if (!same) this.#show(next)
  }

  getSnapshot(): InboxSnapshot {
    return this.#snapshot
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  async load(): Promise<void> {
    await this.#call({ name: 'load', args: [this.#snapshot.filter] })
  }

  async loadMore(): Promise<void> {
    await this.#call({ name: 'loadMore', args: [this.#snapshot.filter] })
  }

  async setFilter(filter: InboxFilter): Promise<void> {
    if (filter === this.#snapshot.filter) return
    const { unread } = this.#snapshot
    this.#show({ ...NOTHING, status: 'loading', filter, unread })
    await this.#call({ name: 'filter', args: [filter] })
    await this.#call({ name: 'load', args: [filter] })
  }

  seen(ids: readonly string[]): Promise<void> {
    return this.#mark('seen', ids, true)
  }

  read(ids: readonly string[]): Promise<void> {
    return this.#mark('read', ids, true)
  }

  unread(ids: readonly string[]): Promise<void> {
    return this.#mark('read', ids, false)
  }

  archive(ids: readonly string[]): Promise<void> {
    return this.#mark('archived', ids, true)
  }

  unarchive(ids: readonly string[]): Promise<void> {
    return this.#mark('archived', ids, false)
  }

  async snooze(ids: readonly string[], until: Date): Promise<void> {
    await this.#call({ name: 'mark', args: [{ kind: 'snoozed', ids, until: until.toISOString() }] })
  }

  async unsnooze(ids: readonly string[]): Promise<void> {
    await this.#call({ name: 'mark', args: [{ kind: 'snoozed', ids, until: null }] })
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#call({ name: 'mark', args: [{ kind: 'delete', ids }] })
  }

  async readAll(): Promise<void> {
    await this.#call({ name: 'readAll', args: [] })
  }

  async #mark(kind: 'seen' | 'read' | 'archived', ids: readonly string[], set: boolean): Promise<void> {
    await this.#call({ name: 'mark', args: [{ kind, ids, set }] })
  }

  #show(next: InboxSnapshot): void {
    this.#snapshot = next
    this.#listeners.tell()
  }
}

/** Items that did not change stay the same objects, and so does the list, also when they came as copies. */
function keepSame(before: readonly InboxItem[], after: readonly InboxItem[]): readonly InboxItem[] {
  const known = new Map(before.map((item) => [item.id, item]))
  const items = after.map((item) => {
    const old = known.get(item.id)
    return old !== undefined && (old === item || JSON.stringify(old) === JSON.stringify(item)) ? old : item
  })
  return items.length === before.length && items.every((item, at) => item === before[at]) ? before : items
}
