import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { chaos } from '../src/chaos/chaos.js'
import { pick, seededRandom } from '../src/chaos/random.js'

interface Report {
  seed: number
  faults: { kind: string; count: number; recoveryMs: number; readersLiveMs: number | null }[]
  readers: { readers: number; frames: number; reconnects: number; resets: Record<string, number> }
  invariants: { name: string; checked: number; broken: number; examples: string[] }[]
}

const ROLES_AND_ENGINES = [
  'dispatcher',
  'delivery',
  'history',
  'audit',
  'gateway',
  'realtime',
  'nats',
  'postgres',
  'redis',
]

/** On a machine that is slow they come for longer, and each of them is work: more of them could overtake it. */
const PER_SECOND = 30

// eleven starts of processes, however busy the machine is
t.setTimeout(900_000)

t.test(
  'every process killed once under load: nothing lost, nothing doubled, everything explained, and readers see it all',
  { timeout: 900_000 },
  async (t) => {
    const json = join(await useFolder(t), 'chaos.json')
    t.equal(await chaos({ minutes: 0, seed: 7, json, perSecond: PER_SECOND }), 0)
    const report = JSON.parse(await readFile(json, 'utf8')) as Report
    t.match(
      report.faults.map((fault) => fault.kind),
      [...ROLES_AND_ENGINES.map((name) => `kill -9 ${name}`), 'cut readers', 'break fcm'],
    )
    for (const { kind, readersLiveMs } of report.faults)
      t.not(readersLiveMs, null, `readers live after ${kind}`)
    const { readers, frames, reconnects, resets } = report.readers
    t.ok(
      frames > 0 && reconnects >= readers,
      `${readers} readers, ${frames} frames, ${reconnects} reconnects`,
    )
    t.ok(Object.values(resets).length > 0, 'readers were reset when NATS had been killed')
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
