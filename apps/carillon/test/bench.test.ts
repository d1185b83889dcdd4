import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import type { BenchRow } from '../src/bench/rows.js'
import { runCli } from './support.js'

t.test('every sender gets its messages accepted, and is measured beside the raw protocol', async (t) => {
  const json = join(await useFolder(t), 'push.json')
  const args = ['bench', 'push', '--messages', '500', '--seconds', '1', '--json', json]
  const { code, stderr } = await runCli(t, args)
  // a verdict that is not `accepted` ends the suite
  t.equal(code, 0, stderr)
  const rows = JSON.parse(await readFile(json, 'utf8')) as BenchRow[]
  for (const provider of ['fcm', 'apns', 'webpush', 'smtp']) {
    const sender = rows.find(({ name }) => name === `${provider}: sender`)
    t.equal(sender?.reference, 'the raw client', provider)
    for (const figure of ['value', 'cpuMicrosPerUnit', 'referenceValue', 'ratio'] as const) {
      const value = sender?.[figure] ?? 0
      t.ok(Number.isFinite(value) && value > 0, `${provider}: ${figure} is ${value}`)
    }
  }
})
