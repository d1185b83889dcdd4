import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { checkBoundaries } from '../boundaries.mjs'
import { removeStale } from '../build.mjs'
import { longFiles } from '../long-files.mjs'
import { capture } from '../steps.mjs'
import { TapResults } from '../tap-results.mjs'
import { runTestFile } from '../test-file.mjs'
import { filesBelow, root } from '../workspace.mjs'

/** A small workspace that keeps every rule, to which a test adds what breaks one. */
function workspace(t, files) {
  const base = mkdtempSync(join(tmpdir(), 'carillon-rules-'))
  t.teardown(() => rmSync(base, { recursive: true, force: true }))
  const member = (folder, name, tag) => ({
    [`${folder}/package.json`]: JSON.stringify({
      name: `@carillon/${name}`,
      exports: { '.': './dist/index.js' },
    }),
    [`${folder}/turbo.json`]: JSON.stringify({ extends: ['//'], tags: [tag] }),
    [`${folder}/src/index.ts`]: 'export const a = 1\n',
  })
  const all = {
    ...member('packages/contracts', 'contracts', 'contract'),
    ...member('packages/postgres', 'postgres', 'adapter'),
    ...member('packages/redis', 'redis', 'adapter'),
    ...member('packages/testkit', 'testkit', 'testkit'),
    ...member('apps/history', 'history', 'role'),
    ...member('apps/audit', 'audit', 'role'),
    ...files,
  }
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(base, path)), { recursive: true })
    writeFileSync(join(base, path), text)
  }
  return base
}

const good = {
  'apps/history/src/start.ts': `import { a } from '@carillon/postgres'
import type { B } from './types.js'
export const start = (b: B) => [a, b]
// import { x } from '@carillon/audit'
export const text = "import '@carillon/audit'"
`,
  'apps/history/src/types.ts':
    "import type { start } from './start.js'\nexport type B = typeof start | number\n",
  'apps/history/test/start.test.ts': "import { a } from '@carillon/testkit'\nexport const b = a\n",
}

t.test('a workspace that keeps the rules has no violations', async (t) => {
  t.same(checkBoundaries(workspace(t, good)).violations, [])
})

const bad = {
  'a role that imports a role': [
    'apps/history/src/x.ts',
    "import { a } from '@carillon/audit'\nexport const b = a\n",
    /role may not import role/,
  ],
  'an adapter that imports an adapter': [
    'packages/postgres/src/x.ts',
    "export { a } from '@carillon/redis'\n",
    /adapter may not import adapter/,
  ],
  'contracts that import anything of ours': [
    'packages/contracts/src/x.ts',
    "export * from '@carillon/redis'\n",
    /contract may not import adapter/,
  ],
  'contracts that import Node': [
    'packages/contracts/src/x.ts',
    "import 'node:fs'\n",
    /also runs in a browser/,
  ],
  'a type of another role': [
    'apps/history/src/x.ts',
    "import type { a } from '@carillon/audit'\nexport type A = typeof a\n",
    /role may not import role/,
  ],
  'a role that loads a role later': [
    'apps/history/src/x.ts',
    "export const a = () => import('@carillon/audit')\n",
    /role may not import role/,
  ],
  'a role that uses the testkit outside tests': [
    'apps/history/src/x.ts',
    "import '@carillon/testkit'\n",
    /role may not import testkit/,
  ],
  'a driver outside its adapter': [
    'apps/history/src/x.ts',
    "import pg from 'pg'\nexport const b = pg\n",
    /only packages\/postgres/,
  ],
  'a broker client outside its adapter': [
    'apps/history/src/x.ts',
    "import type { A } from '@nats-io/jetstream'\nexport type B = A\n",
    /only packages\/jetstream/,
  ],
  'an import of what a package does not export': [
    'apps/history/src/x.ts',
    "import '@carillon/postgres/dist/pool.js'\n",
    /only what a package exports/,
  ],
  'a relative import out of the package': [
    'apps/history/src/x.ts',
    "import '../../audit/src/index.js'\n",
    /stays in its package/,
  ],
  'a package without a known tag': [
    'packages/redis/turbo.json',
    '{"tags":["thing"]}',
    /a tag of .* is missing/,
  ],
}
for (const [name, [path, text, expected]] of Object.entries(bad)) {
  t.test(`${name} is a violation`, async (t) => {
    const { violations } = checkBoundaries(workspace(t, { ...good, [path]: text }))
    t.equal(violations.length, 1)
    t.match(violations[0], expected)
    t.match(violations[0], path)
  })
}

t.test(
  'turbo rejects an import of a package that is not declared, and a declared one of a wrong tag',
  async (t) => {
    const manifest = (name, dependencies) =>
      JSON.stringify({ name: `@carillon/${name}`, version: '1.0.0', type: 'module', dependencies })
    const base = workspace(t, {
      'package.json': '{"name":"fixture","private":true,"packageManager":"pnpm@12.21.0"}',
      'pnpm-workspace.yaml': 'packages:\n  - packages/*\n  - apps/*\n',
      'turbo.json': readFileSync(join(root, 'turbo.json'), 'utf8'),
      'apps/history/package.json': manifest('history', {}),
      'apps/history/src/x.ts': "import '@carillon/audit'\n",
      'packages/redis/package.json': manifest('redis', { '@carillon/postgres': 'workspace:*' }),
    })
    const run = capture(join(root, 'node_modules/.bin/turbo'), ['boundaries', '--no-color'], {
      cwd: base,
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', GIT_CEILING_DIRECTORIES: base },
    })
    const error = await run.catch((reason) => reason)
    t.match(error.output, /cannot import package `@carillon\/audit`/)
    t.match(error.output, /`@carillon\/postgres` found without any tag listed/)
  },
)

t.test('circular imports are a violation, once, with the way round', async (t) => {
  const { violations } = checkBoundaries(
    workspace(t, {
      'apps/history/src/a.ts': "import { b } from './b.js'\nexport const a = () => b\n",
      'apps/history/src/b.ts': "import { c } from './c.js'\nexport const b = () => c\n",
      'apps/history/src/c.ts': "export { a as c } from './a.js'\n",
    }),
  )
  t.equal(violations.length, 1)
  t.match(
    violations[0],
    'circular imports: apps/history/src/a.ts → apps/history/src/b.ts → apps/history/src/c.ts → apps/history/src/a.ts',
  )
})

t.test('a long file is named with its length', async (t) => {
  const base = workspace(t, {
    'apps/history/src/long.ts': '\n'.repeat(301),
    'apps/history/src/long.test.ts': '\n'.repeat(900),
  })
  t.same(longFiles(base), [{ path: 'apps/history/src/long.ts', lines: 301 }])
})

t.test('the linter rejects any and empty blocks, the formatter a wrong quote', async (t) => {
  const base = workspace(t, { 'bad.ts': 'export const a: any = "x"\ntry {\n  a()\n} catch {}\n' })
  const run = capture(
    join(root, 'node_modules/.bin/biome'),
    ['check', '--vcs-enabled=false', `--config-path=${root}`, '.'],
    { cwd: base },
  )
  const error = await run.catch((reason) => reason)
  for (const expected of [/noExplicitAny/, /noEmptyBlockStatements/, /Formatter/])
    t.match(error.output, expected)
})

t.test('unused files, exports and dependencies are found', async (t) => {
  const base = workspace(t, {
    'package.json': '{"name":"fixture","private":true}',
    'pnpm-workspace.yaml': 'packages: [packages/*, apps/*]\n',
    'knip.json': '{"workspaces":{"apps/*":{"entry":["src/index.ts"],"project":["src/**/*.ts"]}}}',
    'apps/history/package.json': '{"name":"@carillon/history","dependencies":{"pino":"1.0.0"}}',
    'apps/history/src/index.ts': "import { used } from './helper.js'\nexport const a = used\n",
    'apps/history/src/helper.ts': 'export const used = 1\nexport const forgotten = 2\n',
    'apps/history/src/orphan.ts': 'export const alone = 1\n',
  })
  const run = capture(join(root, 'node_modules/.bin/knip'), ['--no-progress', '--directory', base])
  const error = await run.catch((reason) => reason)
  for (const expected of [/orphan\.ts/, /forgotten/, /pino/]) t.match(error.output, expected)
})

t.test('a compiled file whose source was deleted is removed', async (t) => {
  const base = workspace(t, {
    'apps/history/dist/src/index.js': '',
    'apps/history/dist/src/gone.js': '',
    'apps/history/dist/src/gone.d.ts.map': '',
    'apps/history/dist/test/gone.test.js': '',
  })
  removeStale(join(base, 'apps/history'))
  t.same(filesBelow(join(base, 'apps/history/dist')), [join(base, 'apps/history/dist/src/index.js')])
})

t.test('a test file that fails, tests nothing, dies or hangs has failed', async (t) => {
  const tap = JSON.stringify(import.meta.resolve('tap'))
  const cases = {
    passes: [
      `import t from ${tap}; t.pass('fine'); t.test('inner', async (t) => t.pass('also'))`,
      { passed: 2, failed: 0, skipped: 0 },
      /^$/,
    ],
    fails: [
      `import t from ${tap}; t.test('rings', async (t) => t.equal(1, 2, 'same bell'))`,
      { passed: 0, failed: 1, skipped: 0 },
      /FAIL rings > same bell/,
    ],
    skips: [
      `import t from ${tap}; t.pass('in a browser', { skip: 'none here' })`,
      { passed: 0, failed: 0, skipped: 1 },
      /skip in a browser: none here/,
    ],
    nothing: ['export {}', { passed: 0, failed: 1, skipped: 0 }, /FAIL it tested nothing/],
    dies: [
      `import t from ${tap}; t.pass('fine'); process.on('exit', () => process.kill(process.pid, 'SIGKILL'))`,
      { passed: 1, failed: 1, skipped: 0 },
      /FAIL ended with SIGKILL/,
    ],
    throws: ["throw new Error('broken at import')", { passed: 0, failed: 1, skipped: 0 }, /broken at import/],
    hangs: [
      `import t from ${tap}; t.test('waits', () => new Promise((r) => setTimeout(r, 3_000)))`,
      { passed: 0, failed: 1, skipped: 0 },
      /timeout/,
    ],
  }
  const files = Object.fromEntries(Object.entries(cases).map(([name, [text]]) => [`${name}.mjs`, text]))
  const base = workspace(t, files)
  for (const [name, [, counts, report]] of Object.entries(cases)) {
    const timeoutMs = name === 'hangs' ? 1_000 : 30_000
    const result = await runTestFile(
      { path: join(base, `${name}.mjs`), folder: base, timeoutMs },
      process.env,
    )
    t.same(result.counts, counts, name)
    t.match(result.report, report, name)
  }
})

t.test('a test file that leaves a process behind which holds its output has failed', async (t) => {
  const base = workspace(t, {
    'leaves.mjs': `import t from ${JSON.stringify(import.meta.resolve('tap'))}
      import { spawn } from 'node:child_process'
      import { writeFileSync } from 'node:fs'
      const left = spawn(process.execPath, ['-e', 'setTimeout(() => 0, 60_000)'], { stdio: 'inherit', detached: true })
      left.unref()
      writeFileSync('left', String(left.pid))
      t.pass('fine')`,
  })
  t.teardown(() => process.kill(Number(readFileSync(join(base, 'left'), 'utf8')), 'SIGKILL'))
  const file = { path: join(base, 'leaves.mjs'), folder: base, timeoutMs: 30_000, leftBehindMs: 200 }
  const { counts, report } = await runTestFile(file, process.env)
  t.same(counts, { passed: 1, failed: 1, skipped: 0 })
  t.match(report, /FAIL ended, and left processes behind/)
})

t.test('a test counts once wherever its output is cut in two', async (t) => {
  const bytes = Buffer.from('# Subtest: größer als …\n    ok 1 - ✓\n    1..1\nok 1 - größer als …\n1..1\n')
  for (let at = 0; at <= bytes.length; at++) {
    const results = new TapResults()
    results.write(bytes.subarray(0, at))
    results.write(bytes.subarray(at))
    t.ok((await results.end()).ok)
    t.same(results.counts, { passed: 1, failed: 0, skipped: 0 }, `cut at ${at}`)
  }
})
