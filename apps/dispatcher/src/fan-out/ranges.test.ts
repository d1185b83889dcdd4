import { createHash } from 'node:crypto'
import { hashUuid } from '@carillon/contracts'
import t from 'tap'
import { fanoutOf, isIn, rangeOf, WHOLE_RANGE } from './ranges.js'

const ids = Array.from({ length: 20_000 }, (_, index) =>
  hashUuid(createHash('sha256').update(String(index)).digest()),
)
const EDGES = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']

t.test('every id is in exactly one chunk, and chunks hold about as many each', async (t) => {
  for (const chunks of [1, 2, 3, 7, 40]) {
    const ranges = Array.from({ length: chunks }, (_, index) => rangeOf(index, chunks))
    const counts = ranges.map((range) => ids.filter((id) => isIn(id, range)).length)
    t.equal(
      [...ids, ...EDGES].filter((id) => ranges.filter((range) => isIn(id, range)).length !== 1).length,
      0,
      `${chunks} chunks`,
    )
    const fair = ids.length / chunks
    t.ok(Math.max(...counts) < fair * 1.25 && Math.min(...counts) > fair * 0.75, `${chunks} even chunks`)
  }
})

t.test('neighbours of a very large audience leave no gap and never overlap', async (t) => {
  for (const index of [0, 1, 19_998, 123_456]) {
    const { last } = rangeOf(index, 200_000)
    const { first } = rangeOf(index + 1, 200_000)
    const prefix = (id: string) => BigInt(`0x${id.slice(0, 8)}${id.slice(9, 13)}`)
    t.equal(prefix(first), prefix(last) + 1n)
  }
  t.equal(rangeOf(199_999, 200_000).last, WHOLE_RANGE.last)
})

t.test('an audience has at least one chunk', async (t) => {
  t.same(fanoutOf(0, 500), { chunks: 1, estimated: 0 })
  t.same(fanoutOf(501, 500), { chunks: 2, estimated: 501 })
})
