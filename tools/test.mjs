// Runs every test and closes with `N passed, N failed`. Arguments are parts of paths: `npm test -- packages/jetstream`.
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { capture, ProgramFailed, step } from './steps.mjs'
import { formatCounts } from './tap-results.mjs'
import { runTestFile } from './test-file.mjs'
import { findTests, rememberTimes } from './test-files.mjs'
import { readWorkspace, root } from './workspace.mjs'

const filters = process.argv.slice(2).map((filter) => filter.replace(/^\.\//, ''))
const total = { passed: 0, failed: 0, skipped: 0 }
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`

function account({ name, counts, report, ms }) {
  for (const key of Object.keys(total)) total[key] += counts[key]
  console.log(`${counts.failed > 0 ? 'not ok' : 'ok    '} ${name} … ${seconds(ms)}`)
  if (report) process.stdout.write(report)
}

async function check() {
  const started = performance.now()
  const outcome = await capture(process.execPath, [join(root, 'tools/check.mjs')], { cwd: root }).then(
    () => ({ counts: { passed: 1, failed: 0, skipped: 0 }, report: '' }),
    (error) => {
      if (!(error instanceof ProgramFailed)) throw error
      return { counts: { passed: 0, failed: 1, skipped: 0 }, report: `${error.output.trimEnd()}\n` }
    },
  )
  account({ name: 'npm run check', ...outcome, ms: performance.now() - started })
}

/** The PostgreSQL that all files share; engines are fetched now, so that no test waits for it. */
async function sharedPostgres(folder) {
  const { locateEngines, startPostgres } = await import('../packages/engines/dist/src/index.js')
  await step('finding engines', () => locateEngines())
  const settings = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '300',
  }
  const dataDir = join(folder, 'data')
  return step('starting PostgreSQL', () => startPostgres({ dataDir, fromTemplate: true, settings }))
}

async function main() {
  const { files, missing } = findTests(filters)
  for (const name of missing) {
    account({
      name,
      counts: { passed: 0, failed: 1, skipped: 0 },
      report: '  FAIL it was not compiled\n',
      ms: 0,
    })
  }
  if (files.length === 0) {
    account({
      name: filters.join(' ') || 'tests',
      counts: { passed: 0, failed: 1, skipped: 0 },
      report: '  FAIL there is no such test\n',
      ms: 0,
    })
    return
  }
  if (filters.length === 0) {
    await check()
    for (const { folder } of readWorkspace()) {
      const tested = files.some((file) => file.folder === join(root, folder))
      if (!tested && existsSync(join(root, folder, 'tsconfig.json')))
        console.log(`none   ${folder} has no tests`)
    }
  }
  const folder = await mkdtemp(join(tmpdir(), 'carillon-tests-'))
  // Under root, PostgreSQL runs as another user, who must be able to enter.
  await chmod(folder, 0o755)
  const postgres = await sharedPostgres(folder)
  const env = { ...process.env, CARILLON_TEST_POSTGRES_URL: postgres.url }
  const times = {}
  try {
    const queue = [...files]
    const worker = async () => {
      for (let file = queue.shift(); file; file = queue.shift()) {
        const result = await runTestFile(file, env)
        times[file.name] = Math.round(result.ms)
        account({ name: file.name, ...result })
      }
    }
    await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
  } finally {
    await postgres.stop()
    // what PostgreSQL's last processes write while they end may come in between
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    rememberTimes(times)
  }
}

const interrupted = () => {
  console.log(formatCounts(total))
  process.exit(130)
}
process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
await main()
console.log(formatCounts(total))
process.exitCode = total.failed > 0 ? 1 : 0
