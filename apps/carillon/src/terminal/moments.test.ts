import t from 'tap'
import { momentOf } from './moments.js'

const now = new Date(2026, 4, 2, 15, 30)

t.test('a time of the day is the last one on the clock', async (t) => {
  t.same(momentOf('14:02', now), new Date(2026, 4, 2, 14, 2))
  t.same(momentOf('9:05:07', now), new Date(2026, 4, 2, 9, 5, 7))
  t.same(momentOf('23:00', now), new Date(2026, 4, 1, 23, 0), 'which may have been yesterday')
})

t.test('how long ago, and moments with and without a zone', async (t) => {
  t.same(momentOf('2h ago', now), new Date(2026, 4, 2, 13, 30))
  t.same(momentOf('90m  ago', now), new Date(2026, 4, 2, 14, 0))
  t.same(momentOf('2026-05-02T14:02:00Z', now), new Date(Date.UTC(2026, 4, 2, 14, 2)))
  t.same(momentOf('2026-05-02 14:02', now), new Date(2026, 4, 2, 14, 2))
  t.same(momentOf('2026-05-02', now), new Date(2026, 4, 2))
})

t.test('what is no moment is none', async (t) => {
  for (const text of ['', '24:00', '14:60', 'noon', '2 hours', '2x ago', '2026', '2026-13-01', '7'])
    t.equal(momentOf(text, now), undefined, text)
})
