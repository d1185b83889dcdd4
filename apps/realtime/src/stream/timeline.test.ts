import fc from 'fast-check'
import t from 'tap'
import { judgeRead } from './recovery.js'
import { Ring } from './ring.js'
import { type Sequenced, Timeline } from './timeline.js'

/** One channel's messages inside a stream that other channels use too. */
const stream = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 }).map((steps) => {
  let sequence = 0
  return steps.map((step): Sequenced => {
    const previous = sequence
    sequence += step
    return { sequence, previous }
  })
})

type Step =
  | { kind: 'store' }
  | { kind: 'live'; pick: number }
  | { kind: 'read'; back: number; lag: number }
  | { kind: 'advance' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'store' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('live' as const), pick: fc.nat(1_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('read' as const), back: fc.nat(3), lag: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'advance' as const }) },
)

t.test(
  'whatever is lost, doubled, late or read twice, each message comes once, in order, with no gap',
  (t) => {
    fc.assert(
      fc.property(stream, fc.array(step, { maxLength: 120 }), (messages, steps) => {
        const timeline = new Timeline<Sequenced>(0)
        const delivered: Sequenced[] = []
        let stored = 0
        const read = (back: number, lag: number) => {
          const from = Math.max(0, timeline.position - back)
          const upTo = Math.max(0, stored - lag)
          return messages.slice(0, upTo).filter(({ sequence }) => sequence > from)
        }
        for (const action of steps) {
          if (action.kind === 'store') {
            if (stored < messages.length) stored++
          } else if (action.kind === 'live') {
            // any stored message may arrive at any time, again and again, or never
            const message = messages[action.pick % Math.max(1, stored)]
            if (stored > 0 && message !== undefined) delivered.push(...timeline.live(message))
          } else if (action.kind === 'read') {
            delivered.push(...timeline.stored(read(action.back, action.lag)))
          } else {
            // as the head check does: the stream's head, when the channel's own last message is not beyond
            const last = messages[stored - 1]?.sequence ?? 0
            if (last <= timeline.position) timeline.advance(last)
          }
          const expected = messages.slice(0, delivered.length)
          if (JSON.stringify(delivered) !== JSON.stringify(expected)) return false
        }
        delivered.push(...timeline.stored(read(0, 0)))
        return JSON.stringify(delivered) === JSON.stringify(messages.slice(0, stored)) && !timeline.missing
      }),
      { numRuns: 2_000 },
    )
    t.end()
  },
)

t.test('a timeline knows that something is missing and stops there', (t) => {
  const timeline = new Timeline<Sequenced>(10)
  t.same(timeline.live({ sequence: 12, previous: 9 }).length, 1, 'what came before the start does not matter')
  t.same(timeline.live({ sequence: 20, previous: 15 }), [])
  t.ok(timeline.missing)
  timeline.advance(100)
  t.equal(timeline.position, 12, 'a gap can not be stepped over')
  t.same(
    timeline.live({ sequence: 15, previous: 12 }).map(({ sequence }) => sequence),
    [15, 20],
    'a late one fills the gap',
  )
  timeline.expect(30)
  t.ok(timeline.missing)
  timeline.reset(5)
  t.notOk(timeline.missing)
  t.equal(timeline.position, 5)
  t.end()
})

t.test('a flood while something is missing is not held for ever, and a read still brings all of it', (t) => {
  const timeline = new Timeline<Sequenced>(0)
  const messages = Array.from({ length: 2_000 }, (_, index) => ({ sequence: index + 2, previous: index + 1 }))
  for (const message of messages) t.same(timeline.live(message), [])
  const all = [{ sequence: 1, previous: 0 }, ...messages]
  t.same(timeline.stored(all.slice(0, 200)).length, 513, 'the read and what was held')
  t.ok(timeline.missing)
  t.same(timeline.stored(all.slice(513)).length, 2_001 - 513)
  t.notOk(timeline.missing)
  t.end()
})

t.test('a ring gives every message after an offset or admits that it can not', (t) => {
  const frame = fc.record({ step: fc.integer({ min: 1, max: 4 }), bytes: fc.integer({ min: 0, max: 40 }) })
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 60 }), fc.nat(250), fc.nat(60), (steps, offset, extend) => {
      const ring = new Ring<{ sequence: number; bytes: number }>(0, { maxFrames: 12, maxBytes: 200 })
      const all: { sequence: number; bytes: number }[] = []
      let sequence = 0
      for (const { step, bytes } of steps) {
        sequence += step
        all.push({ sequence, bytes })
        ring.push({ sequence, bytes })
      }
      const expected = JSON.stringify(all.filter((entry) => entry.sequence > offset))
      const found = ring.since(offset)
      if (found !== undefined && JSON.stringify(found) !== expected) return false
      if (found === undefined && offset >= ring.floor) return false
      ring.extendBack(extend, all)
      const again = ring.since(offset)
      return ring.length <= 12 && (again === undefined || JSON.stringify(again) === expected)
    }),
  )
  t.end()
})

t.test('a read is complete only when nothing can have been evicted after the offset', (t) => {
  const head = { epoch: 'e', firstSequence: 100, lastSequence: 500, maxPerSubject: 200, shrinks: false }
  t.equal(judgeRead(99, 10, head), undefined)
  t.equal(judgeRead(98, 10, head), 'evicted', 'the stream begins later')
  t.equal(judgeRead(99, 200, head), 'evicted', 'the subject is full')
  t.equal(judgeRead(99, 199, head), undefined)
  t.equal(judgeRead(500, 0, head), undefined)
  t.equal(judgeRead(501, 0, head), 'ahead')
  t.equal(judgeRead(500, 0, { ...head, firstSequence: 501 }), undefined, 'an emptied stream has lost nothing')
  t.equal(judgeRead(0, 0, { ...head, firstSequence: 0, lastSequence: 0 }), undefined, 'a new stream')
  t.equal(judgeRead(99, 5_000, { ...head, maxPerSubject: -1 }), undefined)

  // against a model of the stream: limits per subject and from the front
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 80 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(80),
      fc.nat(80),
      (owners, maxPerSubject, offset, dropped) => {
        const all = owners.map((own, index) => ({ own, sequence: index + 1 }))
        const keep = (own: boolean) => all.filter((message) => message.own === own).slice(-maxPerSubject)
        const kept = [...keep(true), ...keep(false)]
          .sort((a, b) => a.sequence - b.sequence)
          .filter(({ sequence }) => sequence > dropped)
        const lastSequence = all.length
        const firstSequence = kept[0]?.sequence ?? lastSequence + 1
        const read = kept.filter(({ own, sequence }) => own && sequence > offset)
        const verdict = judgeRead(offset, read.length, {
          epoch: 'e',
          firstSequence,
          lastSequence,
          maxPerSubject,
          shrinks: true,
        })
        const whole = all.filter(({ own, sequence }) => own && sequence > offset)
        return verdict !== undefined || whole.length === read.length
      },
    ),
    { numRuns: 2_000 },
  )
  t.end()
})
