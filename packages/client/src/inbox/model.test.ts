import type { Frame, InboxItem } from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import type { InboxFilter } from '../api.js'
import { begin, changesOf, confirm, type Mark, postpone, refuse, send } from './marks.js'
import {
  type Asked,
  belongs,
  count,
  EMPTY_INBOX,
  hear,
  type InboxPage,
  lose,
  type PageRequest,
  turn,
} from './model.js'
import { missing, view } from './view.js'

const FILTERS: InboxFilter[] = ['all', 'unread', 'archived', 'snoozed']
const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const PAGE = 2

function itemOf(id: string): InboxItem {
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
class World {
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

const id = fc.constantFrom(...IDS)
const mark: fc.Arbitrary<Mark> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('seen' as const, 'read' as const, 'archived' as const),
    ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
    set: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('snoozed' as const),
    ids: fc.uniqueArray(id, { minLength: 1, maxLength: 2 }),
    until: fc.constantFrom('2030-01-01T00:00:00.000Z', null),
  }),
  fc.record({
    kind: fc.constant('delete' as const),
    ids: fc.uniqueArray(id, { minLength: 1, maxLength: 1 }),
  }),
  fc.constant<Mark>({ kind: 'read-all', ids: [] }),
)
type Plain = 'load' | 'more' | 'count' | 'frame' | 'again' | 'serve' | 'answer' | 'cut'
type Step =
  | { do: 'create'; id: string }
  | { do: 'elsewhere'; mark: Mark }
  | { do: 'here'; mark: Mark; fate: 'done' | 'refused' | 'lost' }
  | { [D in Plain]: { do: D } }[Plain]
  | { do: 'filter'; filter: InboxFilter }
const PLAIN: Plain[] = [
  'load',
  'more',
  'count',
  'frame',
  'frame',
  'frame',
  'again',
  'serve',
  'serve',
  'answer',
  'answer',
  'cut',
]
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('elsewhere' as const), mark }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('here' as const),
      mark,
      fate: fc.constantFrom('done' as const, 'done' as const, 'refused' as const, 'lost' as const),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constantFrom<Plain[]>(...PLAIN) }) as fc.Arbitrary<Step>,
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('filter' as const), filter: fc.constantFrom(...FILTERS) }),
  },
)

const PLAYS: { [D in Step['do']]: (world: World, one: Extract<Step, { do: D }>) => void } = {
  create: (world, one) => world.server.create(one.id),
  elsewhere: (world, one) => world.server.do(one.mark),
  here: (world, { mark, fate }) =>
    world.act((ids) => (mark.kind === 'read-all' ? { ...mark, ids } : mark), fate),
  load: (world) => world.load(),
  more: (world) => world.load(world.model.until[world.filter] ?? undefined),
  count: (world) => world.count(),
  frame: (world) => world.deliver(),
  again: (world) => world.repeat(),
  serve: (world) => world.requests.shift()?.(),
  answer: (world) => world.answers.shift()?.(),
  cut: (world) => world.cut(),
  filter: (world, one) => {
    world.filter = one.filter
  },
}

t.test('however frames, pages, marks and their answers interleave, the end is what the server has', (t) => {
  fc.assert(
    fc.property(
      fc.subarray(IDS.slice(0, 5)),
      fc.array(step, { maxLength: 60, size: '+1' }),
      (begun, steps) => {
        const world = new World()
        for (const id of begun) world.server.create(id)
        if (begun.length > 0) world.settle()
        for (const one of steps) (PLAYS[one.do] as (world: World, one: Step) => void)(world, one)
        world.settle()
        const { items, unread, hasMore } = view(world.model, world.filter)
        const truth = world.server.list(world.filter)
        const plain = (all: readonly InboxItem[]) =>
          all.map(({ id, seenAt, readAt, archivedAt, snoozedUntil }) => ({
            id,
            seen: seenAt !== null,
            read: readAt !== null,
            archived: archivedAt !== null,
            snoozedUntil,
          }))
        const until = world.model.until[world.filter]
        const expected = truth.filter((row) => until === null || until === undefined || row.id >= until)
        if (unread !== world.server.list('unread').length) throw new Error(`unread ${unread}`)
        if (!hasMore && items.length !== truth.length) throw new Error('more is hidden')
        return JSON.stringify(plain(items)) === JSON.stringify(plain(expected))
      },
    ),
    { numRuns: 6_000 },
  )
  t.pass('6,000 runs')
  t.end()
})

t.test('what comes back whole is shown, though newer marks of it were heard before', (t) => {
  const back: Frame = { type: 'notification.updated', id: 'a', changes: { ...itemOf('a'), revision: 6 } }
  const readAt = '2026-01-02T00:00:00.000Z'
  const read: Frame = { type: 'notification.updated', id: 'a', changes: { readAt, revision: 7 } }
  const { item } = hear(hear(EMPTY_INBOX, read), back).known.get('a') ?? {}
  t.match(item, { title: 'a', readAt, revision: 7 })
  const { item: later } = hear(hear(EMPTY_INBOX, back), read).known.get('a') ?? {}
  t.same(later, item, 'as in the other order')
  t.end()
})

t.test('a count is taken as exact only when nothing happened since it was asked for', (t) => {
  const page = (items: InboxItem[], unread: number): InboxPage => ({
    notifications: items,
    unread,
    next: items.at(-1)?.id ?? null,
  })
  const { heard, sessionAt } = EMPTY_INBOX
  const first = { filter: 'all' as const, before: undefined, heard, sessionAt }
  const model = turn(EMPTY_INBOX, first, page([itemOf('f'), itemOf('e')], 5))
  t.match(view(model, 'all'), { unread: 5, hasMore: true })
  t.ok(model.counted)

  const created: Frame = { type: 'notification.created', id: 'g', notification: itemOf('g') }
  const more = hear(model, created)
  t.match(view(more, 'all'), { unread: 6 }, 'counted on')
  t.notOk(more.counted, 'but it may have been among the five: to be asked')
  t.notOk(count(more, 6, model).counted, 'an answer from before that is not trusted')
  t.match(count(more, 5, more), { counted: true })
  t.equal(view(count(more, 5, more), 'all').unread, 5)

  const mark = { kind: 'read' as const, ids: ['f'], set: true }
  const sent = send(begin(model, { key: 'k', mark, at: 'now', sent: undefined }), 'k')
  t.notOk(count(sent, 4, sent).counted, 'nor one while a mark is on its way')
  t.ok(count(confirm(sent, 'k'), 4, confirm(sent, 'k')).counted)
  t.equal(count(model, 9, { heard: model.heard, sessionAt: -1 }), model, 'nor one of another session')
  t.end()
})

t.test('what was created and heard of twice is as it became since', (t) => {
  const created: Frame = { type: 'notification.created', id: 'a', notification: itemOf('a') }
  const read: Frame = { type: 'notification.updated', id: 'a', changes: { readAt: 'then', revision: 1 } }
  const model = hear(hear(EMPTY_INBOX, created), read)
  t.equal(hear(model, created), model, 'nothing changes')
  t.equal(hear(model, read), model)
  const removed = hear(model, { type: 'notification.removed', id: 'a' })
  t.same(view(removed, 'all').items, [])
  t.equal(hear(removed, created), removed, 'and what is gone stays gone')
  t.end()
})
