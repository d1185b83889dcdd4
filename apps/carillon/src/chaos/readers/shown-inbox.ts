import { setTimeout as sleep } from 'node:timers/promises'
import type { Frame, InboxItem } from '@carillon/contracts'

interface Shown {
  revision: number
  readAt: string | null
  /** False for marks that came ahead of their notification. */
  there: boolean
}

export interface InboxPage {
  notifications: InboxItem[]
  unread: number
  next: string | null
  position: { epoch: string; offset: number } | null
}

/** Unread counts end here: so many or more. */
const UNREAD_AT_MOST = 1_000
const PAGE = 200
const TRY_AGAIN_MS = 250
const ANSWER_WITHIN_MS = 10_000

/** The inbox as a client holds it: fetched when it is told to, kept by frames otherwise. */
export class ShownInbox {
  /** Notifications that a frame announced. */
  readonly announced = new Set<string>()
  readonly #shown = new Map<string, Shown>()
  #fetching = 0

  /** Ids of all that is shown. */
  get ids(): string[] {
    return [...this.#shown].flatMap(([id, { there }]) => (there ? [id] : []))
  }

  get unreadIds(): string[] {
    return [...this.#shown].flatMap(([id, { there, readAt }]) => (there && readAt === null ? [id] : []))
  }

  get unread(): number {
    return Math.min(UNREAD_AT_MOST, this.unreadIds.length)
  }

  /** Whether a page is still asked for. */
  get fetching(): boolean {
    return this.#fetching > 0
  }

  apply(frame: Frame): void {
    if (frame.type === 'notification.created') {
      this.announced.add(frame.id)
      this.#merge(frame.notification)
    } else if (frame.type === 'notification.updated') {
      this.#mark(frame.id, { revision: 0, readAt: null, ...frame.changes })
    } else if (frame.type === 'notification.removed') this.#shown.delete(frame.id)
  }

  /** Fetches all of it, however long that takes; ends early when the signal says so. */
  async fetch(read: () => Promise<InboxItem[]>, signal: AbortSignal): Promise<void> {
    this.#fetching++
    while (!signal.aborted) {
      const items = await read().catch(() => undefined)
      if (items !== undefined) {
        for (const item of items) this.#merge(item)
        break
      }
      await sleep(TRY_AGAIN_MS)
    }
    this.#fetching--
  }

  #merge(item: InboxItem): void {
    this.#mark(item.id, item)
    const shown = this.#shown.get(item.id)
    if (shown !== undefined) shown.there = true
  }

  #mark(id: string, marks: { revision: number; readAt: string | null }): void {
    const { revision, readAt } = marks
    const known = this.#shown.get(id)
    if (known === undefined) this.#shown.set(id, { revision, readAt, there: false })
    else if (revision > known.revision) Object.assign(known, { revision, readAt })
  }
}

/** One page, newest first. @throws Error for any answer but 200 */
export async function readPage(edge: { url: string; token: string }, before?: string): Promise<InboxPage> {
  const query = before === undefined ? '' : `&before=${before}`
  const answer = await fetch(`${edge.url}/v1/inbox?limit=${PAGE}${query}`, {
    headers: { authorization: `Bearer ${edge.token}` },
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  })
  if (!answer.ok) throw new Error(`The inbox answers ${answer.status}.`)
  return (await answer.json()) as InboxPage
}

/** Every page. @throws Error for any answer but 200 */
export async function readInbox(edge: { url: string; token: string }): Promise<InboxItem[]> {
  const items: InboxItem[] = []
  for (let before: string | undefined; ; ) {
    const page = await readPage(edge, before)
    items.push(...page.notifications)
    if (page.next === null) return items
    before = page.next
  }
}
