import t from 'tap'
import { Failures } from './failures.js'

t.test('a message that keeps failing while others go well is dead after the limit', (t) => {
  const failures = new Failures(3)
  t.same(failures.count(1, 1_000), { dead: false, retryAfterMs: 1_000 })
  failures.succeeded(1_500)
  t.same(failures.count(1, 2_000), { dead: false, retryAfterMs: 2_000 })
  t.ok(failures.has(1))
  t.same(failures.count(1, 3_000), { dead: true, times: 3 })
  t.notOk(failures.has(1))
  t.end()
})

t.test('while nothing goes well it is given twice the patience', (t) => {
  const failures = new Failures(2)
  failures.succeeded(500)
  const verdicts = [1, 2, 3, 4].map((time) => failures.count(1, time * 1_000).dead)
  t.same(verdicts, [false, false, false, true])
  t.end()
})

t.test('a success ends the count', (t) => {
  const failures = new Failures(2)
  failures.count(1, 1_000)
  failures.forget(1)
  failures.succeeded(1_500)
  t.equal(failures.count(1, 2_000).dead, false)
  t.end()
})

t.test('waits longer each time, at most a minute', (t) => {
  const failures = new Failures(100)
  const waits = Array.from({ length: 8 }, (_, index) => {
    const verdict = failures.count(1, index)
    return verdict.dead ? 0 : verdict.retryAfterMs
  })
  t.same(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  t.end()
})
