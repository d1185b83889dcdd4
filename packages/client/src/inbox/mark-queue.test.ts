import { eventually } from '@carillon/testkit'
import t from 'tap'
import { CarillonError } from '../errors.js'
import { MarkQueue } from './mark-queue.js'
import type { Mark, PendingMark } from './marks.js'
import { EMPTY_INBOX } from './model.js'

/** A queue whose server does what the test says. */
function world({ restored = true } = {}) {
  let model = EMPTY_INBOX
  let kept: readonly PendingMark[] = []
  const sent: Mark[] = []
  const refusals: unknown[] = []
  const server = { answer: (): Promise<void> => Promise.resolve() }
  const queue = new MarkQueue({
    model: () => model,
    change: (next) => {
      model = next
    },
    send: (mark) => {
      sent.push(mark)
      return server.answer()
    },
    keep: (waiting) => {
      kept = waiting
    },
    refused: (error) => refusals.push(error),
    now: () => 0,
  })
  if (restored) queue.restore([])
  return { queue, sent, refusals, server, kept: () => kept, pending: () => model.pending }
}
const read = (ids: string[], set = true): Mark => ({ kind: 'read', ids, set })
const offline = () => Promise.reject(new CarillonError('OFFLINE', 'no network'))

t.test('marks are sent one after the other, in the order in which they were made', async (t) => {
  const { queue, sent, server, pending } = world()
  const waiting: (() => void)[] = []
  server.answer = () => new Promise((resolve) => waiting.push(resolve))
  const all = [queue.add(read(['a'])), queue.add(read(['b'])), queue.add({ kind: 'delete', ids: ['a'] })]
  for (const n of [1, 2, 3]) {
    await eventually(() => waiting.length === n)
    t.equal(sent.length, n, 'the next one only when this is done')
    waiting[n - 1]?.()
  }
  await Promise.all(all)
  t.same(sent, [read(['a']), read(['b']), { kind: 'delete', ids: ['a'] }])
  t.same(pending(), [])
})

t.test(
  'without a network marks are kept, the last one of a kind wins, and all are sent when it is back',
  async (t) => {
    const { queue, sent, server, kept } = world()
    t.teardown(() => queue.stop())
    server.answer = offline
    await queue.add(read(['a', 'b']))
    await queue.add(read(['a'], false))
    await queue.add({ kind: 'archived', ids: ['a'], set: true })
    t.same(
      kept().map(({ mark }) => mark),
      [read(['b']), read(['a'], false), { kind: 'archived', ids: ['a'], set: true }],
    )
    sent.length = 0
    server.answer = () => Promise.resolve()
    queue.retry()
    await eventually(() => kept().length === 0)
    t.same(sent, [read(['b']), read(['a'], false), { kind: 'archived', ids: ['a'], set: true }])
  },
)

t.test('what was kept at the last visit is sent before what is new', async (t) => {
  const before = world()
  before.server.answer = offline
  await before.queue.add(read(['a']))
  before.queue.stop()
  const { queue, sent } = world({ restored: false })
  const now = queue.add(read(['a'], false))
  t.same(sent, [], 'nothing is sent before what was kept is known')
  queue.restore(before.kept())
  await now
  t.same(sent, [read(['a']), read(['a'], false)])
})

t.test('a refusal rejects, and the marks after it are sent all the same', async (t) => {
  const { queue, sent, server, refusals, pending } = world()
  const refusal = new CarillonError('VALIDATION', 'no', 400)
  server.answer = () => (sent.length === 1 ? Promise.reject(refusal) : Promise.resolve())
  const first = queue.add(read(['a']))
  const second = queue.add(read(['b']))
  await t.rejects(first, { code: 'VALIDATION', status: 400 })
  await second
  t.same(refusals, [refusal])
  t.same(pending(), [])
})

t.test('a server that has trouble is asked again', async (t) => {
  const { queue, sent, server, kept } = world()
  server.answer = () =>
    sent.length === 1 ? Promise.reject(new CarillonError('HTTP_503', 'later', 503)) : Promise.resolve()
  await queue.add(read(['a']))
  await eventually(() => kept().length === 0)
  t.equal(sent.length, 2)
})

t.test('500 marks wait at most, and disposal ends the waiting', async (t) => {
  const { queue, server } = world()
  server.answer = () => new Promise(() => undefined)
  const waiting = Array.from({ length: 500 }, (_, n) => queue.add(read([`n${n}`])))
  await t.rejects(queue.add(read(['one more'])), { code: 'QUEUE_FULL' })
  queue.stop()
  const ends = await Promise.allSettled(waiting)
  t.ok(ends.every((end) => end.status === 'rejected' && end.reason.code === 'DISPOSED'))
  await queue.add(read([]))
  t.pass('nothing to mark is done at once')
})
