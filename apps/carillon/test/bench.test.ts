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

t.test('one-time codes arrive while a broadcast rings, and each wait is told', async (t) => {
  const json = join(await useFolder(t), 'otp.json')
  const args = ['bench', 'otp', '--users', '1000', '--seconds', '1', '--json', json]
  const { code, stderr } = await runCli(t, args)
  t.equal(code, 0, stderr)
  const rows = JSON.parse(await readFile(json, 'utf8')) as BenchRow[]
  t.ok(rows.some(({ name }) => name.startsWith('broadcast: ')))
  // a code that never came counts as infinite, which JSON can't say
  for (const { name, value } of rows) t.ok(Number.isFinite(value) && value > 0, `${name} is ${value}`)
  t.ok(
    rows.some(({ name }) => name === 'broadcast: 1,000 told'),
    'everybody is told',
  )
  // it may not have got a turn while they were told, and be done with all when they are
  t.ok(
    rows.some(({ cpuMicrosPerUnit }) => (cpuMicrosPerUnit ?? 0) > 0),
    'the worker delivers meanwhile',
  )
})

t.test('everybody who was cut off is back, by either transport, with each message once', async (t) => {
  const json = join(await useFolder(t), 'realtime.json')
  const args = ['bench', 'realtime', '--rows', 'storm', '--clients', '100', '--json', json]
  const { code, stderr } = await runCli(t, args)
  t.equal(code, 0, stderr)
  const rows = JSON.parse(await readFile(json, 'utf8')) as BenchRow[]
  const back = rows.filter(({ name }) => name.includes('100 dropped, 100 back'))
  t.equal(back.length, 2)
  for (const { name, value } of back) t.ok(Number.isFinite(value) && value > 0, `${name}: ${value}`)
  t.same(
    rows.filter(({ unit }) => unit === 'faults').map(({ value }) => value),
    [0, 0],
  )
})
