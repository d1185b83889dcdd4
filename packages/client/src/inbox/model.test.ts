import type { Frame, InboxItem } from '@carillon/contracts'
import fc from 'fast-check'
import t from 'tap'
import { IDS, itemOf, World } from '../../test/inbox-world.js'
import type { InboxFilter } from '../api.js'
import { begin, confirm, type Mark, send } from './marks.js'
import { count, EMPTY_INBOX, hear, type InboxPage, turn } from './model.js'
import { view } from './view.js'

const FILTERS: InboxFilter[] = ['all', 'unread', 'archived', 'snoozed']
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
type Plain = 'load' | 'more' | 'count' | 'frame' | 'again' | 'serve' | 'answer' | 'cut' | 'trim'
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
  'trim',
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
  trim: (world) => world.trim(),
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
    { numRuns: 10_000 },
  )
  t.pass('10,000 runs')
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
