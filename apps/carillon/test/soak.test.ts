import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { soak } from '../src/chaos/soak.js'

interface Report {
  invariants: { name: string; checked: number; broken: number; examples: string[] }[]
  attempts: { verdict: string }[]
}

t.test(
  'each delivery to providers that fail in every way ends once, and no phone shows it twice',
  async (t) => {
    const json = join(await useFolder(t), 'soak.json')
    t.equal(await soak({ deliveries: 300, seed: 7, outageSeconds: 1, kills: 2, json }), 0)
    const report = JSON.parse(await readFile(json, 'utf8')) as Report
    for (const { name, checked, broken, examples } of report.invariants) {
      t.equal(broken, 0, `${name}: ${examples.join(', ')}`)
      t.ok(checked > 0, `${name}: something was checked`)
    }
    const verdicts = report.attempts.map(({ verdict }) => verdict).join()
    for (const verdict of ['accepted', 'retry', 'unknown', 'address']) t.match(verdicts, verdict)
  },
)
