import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { PROJECT, runCli } from './support.js'

/** About half a second alone; other tests run beside this one, and a machine may stand still for a while. */
const WITHIN_MS = 60_000

t.test('workflow test plays every test of the repository without a mesh, within a moment', async (t) => {
  const all = await runCli(t, ['workflow', 'test'])
  t.equal(all.code, 0, all.stdout)
  t.match(all.stdout, /✓ workflows\/rides\/whole-ride\.test\.yaml 7 decisions\n/)
  const ms = Number(/(\d+) passed in (\d+) ms/.exec(all.stdout)?.[2])
  t.ok(ms < WITHIN_MS, `${ms} ms besides the start of the process`)
})

t.test('a difference fails with its place, and is taken over on request', async (t) => {
  const cwd = await useFolder(t)
  await cp(join(PROJECT, 'workflows'), join(cwd, 'workflows'), { recursive: true })
  const file = join(cwd, 'workflows/rides/ride-accepted.test.yaml')
  const before = await readFile(file, 'utf8')
  await writeFile(file, before.replace('push: skip NO_ADDRESS', 'push'))
  const line = before.slice(0, before.indexOf('push: skip NO_ADDRESS')).split('\n').length

  const differs = await runCli(t, ['workflow', 'test'], { cwd })
  t.equal(differs.code, 1)
  t.match(differs.stdout, `workflows/rides/ride-accepted.test.yaml:${line}:9 ride-accepted for ben`)
  t.match(
    differs.stdout,
    /- push\n +\+ push: skip NO_ADDRESS {3}# the recipient has no active device of the app "customer"\n/,
  )
  t.match(differs.stdout, /4 passed, 1 failed in \d+ ms; - expected, \+ happened/)

  const data = await runCli(t, ['workflow', 'test', file, '--json'], { cwd })
  t.equal(data.code, 1)
  const { ok, files } = JSON.parse(data.stdout) as {
    ok: boolean
    files: { differences: { place: object }[] }[]
  }
  t.equal(ok, false)
  t.match(files[0]?.differences[0]?.place, { line, column: 9 })

  const updated = await runCli(t, ['workflow', 'test', '--update'], { cwd })
  t.equal(updated.code, 0)
  t.match(updated.stdout, /✎ workflows\/rides\/ride-accepted\.test\.yaml 3 decisions written/)
  t.equal(await readFile(file, 'utf8'), before, 'as it was before it was changed')
})

t.test('a wrong call says what would be right', async (t) => {
  const cwd = await useFolder(t)
  await writeFile(join(cwd, 'a.yaml'), 'key: a\n')
  const wrong: [args: string[], says: RegExp][] = [
    [[], /There is no workflows\.\n.*Name a folder/],
    [['.'], /There are no tests\.\n.*ride-accepted\.test\.yaml/],
    [['a.yaml'], /a\.yaml is not a test\.\n.*\.test\.yaml/],
  ]
  for (const [args, says] of wrong) {
    const { code, stderr } = await runCli(t, ['workflow', 'test', ...args], { cwd })
    t.equal(code, 2)
    t.match(stderr, says)
  }
})
