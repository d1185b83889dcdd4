import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { useFolder } from '@carillon/testkit'
import t from 'tap'
import { parse } from 'yaml'
import { type CliResult, edgeOf, PROJECT, runCli, startUp } from './support.js'

const GOOD = `# kept by hand
key: good
on: a.b
to: data.who
content: { title: "Good", body: "It is {{ data.word }}." }
steps: [inbox, push]
`
const BAD = `key: bad
on: a.b
if: data.
to: data.who
content:
  title: "{{ broken"
steps:
  - inbox
  - branch:
      if: data.x ==
      then:
        - push: { maxAttempts: 3 }
  - fax
`

t.test('without a mesh, every problem is told with its place', async (t) => {
  const cwd = await useFolder(t)
  const run = (...args: string[]) => runCli(t, ['workflow', ...args], { cwd, directory: join(cwd, 'mesh') })
  t.match(await run('validate'), { code: 2, stderr: /There is no workflows\.\n {2}Name workflow files/ })
  await mkdir(join(cwd, 'workflows/deep'), { recursive: true })
  await writeFile(join(cwd, 'workflows/good.yaml'), GOOD)
  await writeFile(join(cwd, 'workflows/good.test.yaml'), 'not a workflow')
  t.match(await run('validate'), { code: 0, stdout: /1 workflow can be published/ })

  const bad = join(cwd, 'workflows/deep/bad.yaml')
  await writeFile(bad, BAD)
  const unknown = await run('validate')
  t.equal(unknown.code, 1)
  t.match(unknown.stdout, /^workflows\/deep\/bad\.yaml:13:5 {2}steps\.2 {2}.*fax.* {2}Write inbox/m)
  await writeFile(bad, BAD.replace('  - fax\n', ''))
  const senseless = await run('validate')
  t.equal(senseless.code, 1)
  t.match(senseless.stdout, /^workflows\/deep\/bad\.yaml:3:5 {2}if {2}\S/m)
  t.match(senseless.stdout, /^workflows\/deep\/bad\.yaml:6:10 {2}content\.title {2}\S/m)
  t.match(senseless.stdout, /^workflows\/deep\/bad\.yaml:10:11 {2}steps\.1\.branch\.if {2}\S/m)

  await writeFile(bad, 'key: bad\n  on: x\n')
  t.match(await run('validate'), { code: 1, stdout: /^workflows\/deep\/bad\.yaml:1:\d+ {2}It is not YAML/m })
  await writeFile(bad, BAD.slice(0, BAD.indexOf('if:')))
  t.match(await run('validate'), { code: 1, stdout: /bad\.yaml:1:1 {2}to {2}"to" is missing/ })
  await writeFile(bad, GOOD)
  t.match(await run('validate'), {
    code: 1,
    stdout: /workflows\/good\.yaml:2:6 {2}key {2}.*deep\/bad\.yaml too/,
  })
  const billion = Array.from({ length: 9 }, (_, n) =>
    n === 0 ? 'a0: &a0 [x]' : `a${n}: &a${n} [${`*a${n - 1},`.repeat(9)}]`,
  )
  await writeFile(bad, `${billion.join('\n')}\n`)
  t.match(await run('validate'), { code: 1, stdout: /bad\.yaml:1:1 .*alias/i })

  await rm(bad)
  await writeFile(
    join(cwd, 'workflows/two.json'),
    JSON.stringify({ ...parse(GOOD), key: 'two', lane: 'fast' }, null, 2),
  )
  const { code, stdout } = await run('validate', '--json', 'workflows', 'workflows/two.json')
  t.equal(code, 1)
  t.match(JSON.parse(stdout), {
    ok: false,
    files: 2,
    problems: [
      {
        file: 'workflows/two.json',
        line: Number,
        column: Number,
        path: 'lane',
        message: /\S/,
        remedy: /high/,
      },
    ],
  })
  t.match(
    await run('push', 'workflows/two.json'),
    { code: 1, stdout: /two\.json/ },
    'nothing is asked of a mesh before files are right',
  )
  t.match(await run('push', 'workflows/good.yaml'), { code: 2, stderr: /No mesh runs here/ })
  await writeFile(
    join(cwd, 'workflows/hook.yaml'),
    `key: hook\non: a.b\nto: data.who\nsteps:\n  - webhook: { url: "\${WEBHOOK_URL}" }\n`,
  )
  t.match(
    await run('validate', 'workflows/hook.yaml'),
    { code: 0 },
    'any address will do where nothing is sent',
  )
  t.match(await run('push', 'workflows/hook.yaml'), {
    code: 1,
    stdout: /hook\.yaml:5:22 {2}.* {2}Set WEBHOOK_URL/,
  })
  t.match(await run('push', '--draft', '--shadow'), { code: 2, stderr: /--draft or --shadow/ })
  t.match(await run('publish', 'good', 'latest'), { code: 2, stderr: /"latest" is not a version/ })
  t.match(await run('--help'), { code: 0, stdout: /validate[\s\S]*push[\s\S]*pull[\s\S]*diff[\s\S]*Example/ })
  t.match(await run('rollback', '--help'), { code: 0, stdout: /\$ carillon workflow rollback/ })
})

t.test('with a mesh', async (t) => {
  const folder = await useFolder(t)
  const directory = join(folder, 'mesh')
  const cwd = join(folder, 'project')
  await mkdir(cwd)
  await startUp(t, { directory })
  const run = (...args: string[]): Promise<CliResult> => runCli(t, ['workflow', ...args], { cwd, directory })
  const file = (name: string) => join(cwd, 'workflows', name)
  const read = (name: string) => readFile(file(name), 'utf8')
  const change = async (name: string, from: string, to: string) =>
    writeFile(file(name), (await read(name)).replace(from, to))

  await t.test('pull writes what is published, and leaves what says the same as it is', async (t) => {
    const pulled = await run('pull')
    t.match(pulled, { code: 0, stdout: /9 written, 0 the same, 0 left alone/ })
    const hello = await read('hello.yaml')
    t.match(hello, /^# yaml-language-server: \$schema=https:\S+\nkey: hello\nname: /)
    t.match(hello, /\$\{WEBHOOK_URL\}/, 'the catcher of this mesh is no part of the workflow')
    t.match(await run('validate'), { code: 0 })
    t.match(await run('diff'), { code: 0, stdout: /9 the same, 0 different/ })
    await rm(file(''), { recursive: true })
    await cp(join(PROJECT, 'workflows'), file(''), { recursive: true })
    const before = await read('rides/ride-accepted.yaml')
    t.match(await run('pull'), { code: 0, stdout: /0 written, 9 the same/ })
    t.equal(await read('rides/ride-accepted.yaml'), before)
    t.match(await run('push'), { code: 0, stdout: /^0 pushed, 9 unchanged\n$/ })
  })

  await t.test('diff tells new, changed and missing ones by line, and push brings them', async (t) => {
    await writeFile(file('good.yaml'), GOOD)
    await change('hello.yaml', 'name: Every bell for one person', 'name: Every single bell')
    await rm(file('rides/ride-earned.yaml'))
    const diff = await run('diff')
    t.equal(diff.code, 3)
    t.match(diff.stdout, /^\+ good is new: workflows\/good\.yaml$/m)
    t.match(
      diff.stdout,
      /^~ hello differs from version 1: workflows\/hello\.yaml\n( .*\n)* {4}-name: Every bell for one person\n {4}\+name: Every single bell$/m,
    )
    t.match(diff.stdout, /^- ride-earned is only on the server, in version 1$/m)
    const alone = await run('diff', 'workflows/good.yaml')
    t.equal(alone.code, 3)
    t.notMatch(alone.stdout, /only on the server/)

    const dry = await run('push', '--dry-run', 'workflows/good.yaml', 'workflows/hello.yaml')
    t.match(dry, {
      code: 0,
      stdout: / good {2}none → next\n {2}hello {2}1 → next\n2 would be pushed, 0 unchanged/,
    })
    t.equal((await run('diff')).code, 3, 'a dry run pushes nothing')
    const pushed = await run('push', 'workflows/good.yaml', 'workflows/hello.yaml')
    t.match(pushed, { code: 0, stdout: / good {2}none → 1\n {2}hello {2}1 → 2\n2 pushed, 0 unchanged/ })
    t.match(await run('diff', 'workflows/good.yaml', 'workflows/hello.yaml'), { code: 0 })
  })

  await t.test('nothing is pushed when one file is wrong, be it only for what the mesh lacks', async (t) => {
    await change('good.yaml', 'steps: [inbox, push]', 'steps:\n  - inbox\n  - email: { template: nowhere }')
    await change('hello.yaml', 'Every single bell', 'Every bell at all')
    t.match(await run('validate', 'workflows/good.yaml'), { code: 0 }, 'templates are not known offline')
    const online = await run('validate', '--online', 'workflows/good.yaml')
    t.equal(online.code, 1)
    t.match(online.stdout, /^workflows\/good\.yaml:8:\d+ {2}steps\.1\.email\.template {2}.*nowhere/m)
    t.match(await run('push', 'workflows/good.yaml', 'workflows/hello.yaml'), { code: 1, stdout: /nowhere/ })
    t.match(await run('diff', 'workflows/hello.yaml'), { code: 3 })
    await writeFile(file('good.yaml'), GOOD)
  })

  await t.test('a file that differs is only rewritten when told to', async (t) => {
    const mine = GOOD.replace('"Good"', '"Mine"')
    await writeFile(file('good.yaml'), mine)
    const told = await run('pull')
    t.match(told, { code: 3, stdout: /! workflows\/good\.yaml differs from version 1/ })
    t.equal(await read('good.yaml'), mine)
    await writeFile(file('good.yaml'), 'key: [')
    t.match(await run('pull'), { code: 3, stdout: /! workflows\/good\.yaml differs/ })
    t.equal(await read('good.yaml'), 'key: [')
    t.match(await run('pull', '--force'), { code: 0, stdout: /workflows\/good\.yaml {2}version 1/ })
    t.same(parse(await read('good.yaml')), parse(GOOD))
  })

  await t.test(
    'drafts and shadows stand beside, are published by name, and versions come back',
    async (t) => {
      await change('good.yaml', 'Good', 'Better')
      t.match(await run('push', '--draft', 'workflows/good.yaml'), {
        code: 0,
        stdout: / good {2}1 → draft 2\n/,
      })
      await change('good.yaml', 'Better', 'Best')
      t.match(await run('push', '--shadow', 'workflows/good.yaml'), {
        code: 0,
        stdout: / good {2}1 → shadow 3\n/,
      })
      t.match(await run('list'), { code: 0, stdout: /^good +1 +draft 2, shadow 3$/m })
      t.match(await run('publish', 'good'), { code: 0, stdout: / good {2}1 → 2\n/ })
      t.match(await run('publish', 'good'), {
        code: 1,
        stderr: /no version "draft" of "good".\n.*versions good/,
      })
      t.match(await run('publish', 'good', 'shadow'), { code: 0, stdout: / good {2}2 → 3\n/ })
      t.match(await run('rollback', 'good'), { code: 0, stdout: / good {2}3 → 2\n/ })
      t.match(await run('rollback', 'good'), { code: 0, stdout: / good {2}2 → 1\n/ })
      t.match(await run('rollback', 'good'), { code: 1, stderr: /No version of "good" was published before/ })
      t.match(await run('rollback', 'good', '3'), { code: 0, stdout: / good {2}1 → 3\n/ })
      t.match(await run('publish', 'good', '3'), { code: 0, stdout: /version 3 is published already/ })
      const versions = await run('versions', 'good')
      t.match(
        versions.stdout,
        /^● +3 {2}published[\s\S]*in force\n[\s\S]*^ +2 {2}retired[\s\S]*^ +1 {2}retired/m,
      )
      t.match(JSON.parse((await run('versions', 'good', '--json')).stdout), [
        { version: 3, publications: [{}, { to: null }] },
        { version: 2, publications: [{}, {}] },
        { version: 1, publications: [{}, {}] },
      ])
      t.match(await run('versions', 'nowhere'), { code: 1, stderr: /no workflow "nowhere"/ })
      const { carillon } = await edgeOf(directory)
      await carillon.call('DELETE', '/v1/workflows/good')
      t.match(
        await run('rollback', 'good'),
        { code: 0, stdout: / good {2}none → 3\n/ },
        'what was taken off comes back',
      )
    },
  )
})
