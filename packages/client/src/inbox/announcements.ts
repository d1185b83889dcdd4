import type { Frame, InboxItem } from '@carillon/contracts'
import { belongs } from './model.js'

/** Notifications that are known to have been announced. */
const MAX_ANNOUNCED = 500

/** Says which notifications arrive, each once: new ones, and those that come back from a snooze. */
export class Announcements {
  readonly #arrived: (notification: InboxItem) => void
  readonly #announced = new Set<string>()
  #above: string | undefined

  constructor(arrived: (notification: InboxItem) => void) {
    this.#arrived = arrived
  }

  /** Another tab held the connection before: what the next page has above this id came meanwhile. */
  missed(above: string): void {
    if (this.#above === undefined || above > this.#above) this.#above = above
  }

  /** True until the newest page was read. */
  get waits(): boolean {
    return this.#above !== undefined
  }

  /** A frame was heard; `before` and `now` is what was and is known of its notification. */
  heard(frame: Frame, before: InboxItem | undefined, now: InboxItem | undefined): void {
    if (now === undefined || !isNew(now)) return
    if (frame.type === 'notification.created') this.#announce(now)
    const wasAway = before === undefined || !belongs(before, 'all')
    const isWhole = frame.type === 'notification.updated' && frame.changes.title !== undefined
    if (isWhole && wasAway) this.#arrived(now)
  }

  /** The newest page was read. */
  read(items: readonly InboxItem[]): void {
    const above = this.#above
    this.#above = undefined
    if (above === undefined) return
    for (const item of [...items].reverse()) if (item.id > above && isNew(item)) this.#announce(item)
  }

  clear(): void {
    this.#announced.clear()
  }

  #announce(item: InboxItem): void {
    if (this.#announced.has(item.id)) return
    this.#announced.add(item.id)
    const [oldest] = this.#announced
    if (this.#announced.size > MAX_ANNOUNCED && oldest !== undefined) this.#announced.delete(oldest)
    this.#arrived(item)
  }
}

function isNew(item: InboxItem): boolean {
  return item.seenAt === null && belongs(item, 'unread')
}
