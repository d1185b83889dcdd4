import t from 'tap'
import { createPace } from './pace.js'

t.test('a burst passes at once, then so many a second, each person for themselves', async (t) => {
  const pace = createPace({ perSecond: 2, burst: 3 })
  const passes = (who: string, at: number) => {
    try {
      pace.count(who, at)
      return true
    } catch (error) {
      t.match(error, { status: 429, code: 'TOO_FAST', headers: { 'retry-after': '1' } })
      return false
    }
  }
  t.strictSame(
    [0, 0, 0, 0].map((at) => passes('ada', at)),
    [true, true, true, false],
  )
  t.ok(passes('mira', 0))
  t.notOk(passes('ada', 499))
  t.ok(passes('ada', 500))
  t.notOk(passes('ada', 501), 'what was refused does not count, what passed does')
  t.strictSame(
    [5_000, 5_000, 5_000, 5_000].map((at) => passes('ada', at)),
    [true, true, true, false],
  )
})
