import type { Frame, InboxItem } from '@carillon/contracts'
import type { InboxFilter } from '../src/api.js'
import { begin, changesOf, confirm, type Mark, postpone, refuse, send } from '../src/inbox/marks.js'
import {
  type Asked,
  belongs,
  count,
  EMPTY_INBOX,
  hear,
  type InboxPage,
  lose,
  type PageRequest,
  trim,
  turn,
} from '../src/inbox/model.js'
import { missing, view } from '../src/inbox/view.js'

export const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const PAGE = 2

/** A notification as it is made. */
export function itemOf(id: string): InboxItem {
  return {
    id,
    workflow: 'w',
    category: null,
    title: id,
    subtitle: null,
    body: '',
    picture: null,
    url: null,
    actions: [],
    data: {},
    lane: 'normal',
    createdAt: '2026-01-01T00:00:00.000Z',
    seenAt: null,
    readAt: null,
    archivedAt: null,
    snoozedUntil: null,
    revision: 0,
  }
}

/** An inbox as the server keeps it, and the frames that it has not delivered yet. */
class Server {
  readonly rows = new Map<string, InboxItem>()
  readonly gone = new Set<string>()
  readonly frames: Frame[] = []
  clock = 0

  create(id: string): void {
    if (this.rows.has(id) || this.gone.has(id)) return
    this.rows.set(id, itemOf(id))
    this.frames.push({ type: 'notification.created', id, notification: itemOf(id) })
  }

  do(mark: Mark): void {
    this.clock += 1
    const ids = mark.kind === 'read-all' ? this.list('unread').map(({ id }) => id) : mark.ids
    for (const id of ids) {
      const row = this.rows.get(id)
      if (row === undefined) continue
      const changes = changesOf(row, { ...mark, ids: [id] } as Mark, `server-${this.clock}`)
      if (changes === undefined) {
        this.rows.delete(id)
        this.gone.add(id)
        this.frames.push({ type: 'notification.removed', id })
        continue
      }
      const next = { ...row, ...changes, revision: row.revision + 1 }
      if (JSON.stringify({ ...next, revision: row.revision }) === JSON.stringify(row)) continue
      this.rows.set(id, next)
      const back = !belongs(row, 'all') && belongs(next, 'all')
      const { seenAt, readAt, archivedAt, snoozedUntil, revision } = next
      const marks = { seenAt, readAt, archivedAt, snoozedUntil, revision }
      this.frames.push({ type: 'notification.updated', id, changes: back ? next : marks })
    }
  }

  list(filter: InboxFilter): InboxItem[] {
    return [...this.rows.values()]
      .filter((row) => belongs(row, filter))
      .sort((a, b) => (a.id < b.id ? 1 : -1))
  }

  page({ filter, before }: PageRequest): InboxPage {
    const rows = this.list(filter).filter(({ id }) => before === undefined || id < before)
    const notifications = rows.slice(0, PAGE)
    const next = notifications.length === PAGE ? (notifications.at(-1)?.id ?? null) : null
    return { notifications, unread: this.list('unread').length, next }
  }
}

/** A client, its requests on the way, and the answers on the way back. */
export class World {
  readonly server = new Server()
  model = EMPTY_INBOX
  filter: InboxFilter = 'all'
  heard: Frame[] = []
  readonly requests: (() => void)[] = []
  readonly answers: (() => void)[] = []
  keys = 0

  load(before?: string): void {
    const { heard, sessionAt } = this.model
    const request: PageRequest = { filter: this.filter, before, heard, sessionAt }
    this.requests.push(() => {
      const page = this.server.page(request)
      this.answers.push(() => {
        this.model = turn(this.model, request, page)
      })
    })
  }

  count(): void {
    const asked: Asked = this.model
    this.requests.push(() => {
      const unread = this.server.list('unread').length
      this.answers.push(() => {
        this.model = count(this.model, unread, asked)
      })
    })
  }

  act(make: (ids: string[]) => Mark, fate: 'done' | 'refused' | 'lost'): void {
    const { items } = view(this.model, this.filter)
    const mark = make(items.map(({ id }) => id))
    this.keys += 1
    const key = `k${this.keys}`
    this.model = send(begin(this.model, { key, mark, at: 'mine', sent: undefined }), key)
    this.requests.push(() => {
      if (fate !== 'refused') this.server.do(mark)
      this.answers.push(() => {
        if (fate === 'done') this.model = confirm(this.model, key)
        else if (fate === 'refused') this.model = refuse(this.model, key)
        else {
          this.model = send(postpone(this.model, key), key)
          this.requests.push(() => {
            this.server.do(mark)
            this.answers.push(() => {
              this.model = confirm(this.model, key)
            })
          })
        }
      })
    })
  }

  deliver(): void {
    const frame = this.server.frames.shift()
    if (frame === undefined) return
    this.heard.push(frame)
    this.model = hear(this.model, frame)
  }

  /** A frame comes a second time, after newer ones. */
  repeat(): void {
    const frame = this.heard[this.heard.length >> 1]
    if (frame !== undefined) this.model = hear(this.model, frame)
  }

  /** Memory is bounded. */
  trim(): void {
    this.model = trim(this.model, 3)
  }

  /** Frames are lost: the connection is new, and so is everything that waits to be delivered. */
  cut(): void {
    this.server.frames.length = 0
    this.heard = []
    this.model = lose(this.model)
  }

  /** Everything that is on its way arrives; then what the model asks for is done until it asks for nothing. */
  settle(): void {
    for (let round = 0; round < 60; round += 1) {
      while (this.requests.length > 0) this.requests.shift()?.()
      while (this.answers.length > 0) this.answers.shift()?.()
      while (this.server.frames.length > 0) this.deliver()
      if (this.requests.length > 0) continue
      const gap = missing(this.model, this.filter)
      if (this.model.until[this.filter] === undefined) this.load()
      else if (gap !== null) this.load(gap.before)
      else if (!this.model.counted) this.count()
      else return
    }
    throw new Error('the model never stops asking')
  }
}
