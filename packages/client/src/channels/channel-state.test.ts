import fc from 'fast-check'
import t from 'tap'
import type { ChannelMessage, Member } from '../api.js'
import { type ChannelEvent, type ChannelState, happen, JOINING } from './channel-state.js'

const message = (
  offset: number | null,
  key: string | null = null,
  data: unknown = offset,
): ChannelMessage => ({
  data,
  offset,
  key,
  from: null,
})
const said = (offset: number): ChannelEvent => ({ type: 'message', message: message(offset) })
const joined = (epoch: string, offset: number, recovered = true): ChannelEvent => ({
  type: 'joined',
  recovered,
  position: { epoch, offset },
})
const all = (events: readonly ChannelEvent[], from: ChannelState = JOINING) => events.reduce(happen, from)

t.test('messages of a room are kept once and in order, however often they come', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 80 }), (repeats) => {
      let state = happen(JOINING, joined('e', 0))
      let next = 1
      for (const repeat of repeats) {
        // an old one again, then the next new one
        state = happen(state, said(Math.min(repeat, next)))
        if (repeat >= next) next += 1
      }
      const offsets = state.shown.messages.map(({ offset }) => offset)
      return offsets.every((offset, at) => offset === at + 1)
    }),
  )
  const state = all([joined('e', 0), said(1)])
  t.equal(happen(state, said(1)).shown, state.shown, 'one that was heard shows nothing new')
  t.end()
})

t.test('a room keeps the newest 200, a latest channel the newest of each key', (t) => {
  const room = all([joined('e', 0), ...Array.from({ length: 250 }, (_, at) => said(at + 1))])
  t.equal(room.shown.messages.length, 200)
  t.equal(room.shown.messages.at(-1)?.offset, 250)
  const at = (key: string | null, data: number): ChannelEvent => ({
    type: 'message',
    message: message(null, key, data),
  })
  const latest = all([at('a', 1), at('b', 2), at('a', 3), at(null, 4), at(null, 5)])
  t.same(
    latest.shown.messages.map(({ key, data }) => [key, data]),
    [
      ['b', 2],
      ['a', 3],
      [null, 5],
    ],
  )
  t.end()
})

t.test('after a loss a room says so, and goes on from the new position', (t) => {
  const before = all([joined('e', 3), said(4)])
  t.same(before.position, { epoch: 'e', offset: 4 })
  const back = happen(before, joined('e', 4))
  t.ok(back.shown.recovered)
  const lost = all([{ type: 'joining' }, joined('f', 2, false), said(3)], before)
  t.notOk(lost.shown.recovered)
  t.equal(lost.shown.messages.at(-1)?.offset, 3, 'numbers may begin anew')
  t.same(lost.position, { epoch: 'f', offset: 3 })
  t.end()
})

t.test('members come and go; more than 200 are only counted', (t) => {
  const member = (client: string): Member => ({ client, user: 'ada', info: null })
  const came = (client: string): ChannelEvent => ({ type: 'came', member: member(client) })
  const some = all([
    { type: 'members', members: [member('a'), member('b')], count: 2 },
    came('b'),
    came('c'),
    { type: 'went', client: 'a' },
  ])
  t.same(
    some.shown.members.map(({ client }) => client),
    ['b', 'c'],
    'who is there already did not come',
  )
  t.equal(some.shown.memberCount, 2)
  const list = Array.from({ length: 200 }, (_, at) => member(`m${at}`))
  const many = all([
    { type: 'members', members: list, count: 500 },
    came('one more'),
    { type: 'went', client: 'x' },
  ])
  t.equal(many.shown.members.length, 200)
  t.equal(many.shown.memberCount, 500)
  const refused = happen(many, { type: 'refused', problem: { code: 'CHANNEL_DENIED', message: 'no' } })
  t.match(refused.shown, { state: 'refused', members: [], error: { code: 'CHANNEL_DENIED' } })
  t.end()
})

t.test('who left is counted off once, and somebody unknown only among those who are not named', (t) => {
  const [ada, bob]: Member[] = [
    { client: '1', user: 'ada', info: null },
    { client: '2', user: 'bob', info: null },
  ]
  const gone = (client: string): ChannelEvent => ({ type: 'went', client })
  const shown = (...events: ChannelEvent[]) => {
    const { members, memberCount } = all([joined('e', 0), ...events]).shown
    return [members.map(({ user }) => user).join(), memberCount]
  }
  const both: ChannelEvent = { type: 'members', members: [ada, bob] as Member[], count: 2 }
  t.same(shown(both, gone('2')), ['ada', 1])
  t.same(shown(both, gone('2'), gone('2')), ['ada', 1], 'told twice')
  t.same(shown(both, gone('3')), ['ada,bob', 2], 'came and went at once')
  t.same(shown({ type: 'members', members: [], count: 300 }, gone('3')), ['', 299], 'only counted')
  t.end()
})
