import type { Verdict } from '@carillon/channels'
import t from 'tap'
import { createCircuits } from './circuit.js'

const many = (count: number, verdict: Verdict) => Array.from({ length: count }, () => verdict)
const DOWN: Verdict = { kind: 'retry', reason: '503' }
const DEAD: Verdict = { kind: 'address', reason: 'UNREGISTERED' }
const GOOD: Verdict = { kind: 'accepted' }

t.test(
  'a provider that never answers is left alone, longer each time, and taken back at its first answer',
  async (t) => {
    const circuits = createCircuits()
    for (let batch = 0; batch < 4; batch++) circuits.note('a', [DOWN], 0)
    t.equal(circuits.openUntil('a', 0), 0, 'four batches are bad luck')
    circuits.note('a', [DOWN], 0)
    const first = circuits.openUntil('a', 0)
    t.ok(first > 0)
    circuits.note('a', [DOWN], first)
    t.ok(circuits.openUntil('a', first) - first > first, 'twice as long')
    t.equal(circuits.openUntil('b', 0), 0, 'another account goes on')
    circuits.note('a', [DOWN, GOOD], 1_000_000)
    t.equal(circuits.openUntil('a', 1_000_000), 0)
  },
)

t.test('many addresses that die at once are the fault of the credentials, some are not', async (t) => {
  const circuits = createCircuits()
  circuits.note('a', many(30, DEAD), 1_000_000)
  t.ok(circuits.isMassDeath('a', 1_000_000))
  t.notOk(circuits.isMassDeath('a', 1_061_000), 'a minute later it begins anew')
  circuits.note('b', [...many(30, GOOD), ...many(10, DEAD)], 1_000_000)
  t.notOk(circuits.isMassDeath('b', 1_000_000))
  circuits.note('c', many(5, DEAD), 1_000_000)
  t.notOk(circuits.isMassDeath('c', 1_000_000), 'too few to tell')
})
