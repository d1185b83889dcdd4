import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { chaos } from '../src/chaos/chaos.js'
import { pick, seededRandom } from '../src/chaos/random.js'

interface Report {
  seed: number
  faults: { kind: string; count: number; recoveryMs: number }[]
  invariants: { name: string; checked: number; broken: number; examples: string[] }[]
}

t.test(
  'every process killed once under load: nothing lost, nothing doubled, everything explained',
  async (t) => {
    const json = join(await useFolder(t), 'chaos.json')
    t.equal(await chaos({ minutes: 0, seed: 7, json }), 0)
    const report = JSON.parse(await readFile(json, 'utf8')) as Report
    t.match(
      report.faults.map((fault) => fault.kind),
      ['dispatcher', 'delivery', 'history', 'audit', 'nats', 'postgres', 'redis'].map(
        (name) => `kill -9 ${name}`,
      ),
    )
    for (const { name, checked, broken, examples } of report.invariants) {
      t.equal(broken, 0, `${name}: ${examples.join(', ')}`)
      t.ok(checked > 0, `${name}: something was checked`)
    }
  },
)

t.test('the same seed gives the same faults', async (t) => {
  const draw = (seed: number) => {
    const random = seededRandom(seed)
    return Array.from({ length: 20 }, () => pick(random, ['a', 'b', 'c', 'd']))
  }
  t.same(draw(3), draw(3))
  t.notSame(draw(3), draw(4))
})
