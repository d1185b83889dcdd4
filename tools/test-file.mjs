import { spawn } from 'node:child_process'
import { formatFailure, TapResults } from './tap-results.mjs'

/** How long a file that ended may be silent before whatever still holds its output open was left behind by it. */
const LEFT_BEHIND_MS = 30_000
/** tap gives up by itself at its time limit and says where; this much later it is given up on. */
const LAST_WORDS_MS = 60_000

/**
 * Runs one compiled test file and judges it. A file that says nothing, ends badly or takes too long has failed, whatever
 * its assertions said.
 * @returns {Promise<{ counts: { passed: number, failed: number, skipped: number }, report: string, ms: number }>}
 *   `report`: failures and skips in full
 */
export async function runTestFile({ path, folder, timeoutMs, leftBehindMs = LEFT_BEHIND_MS }, env) {
  const started = performance.now()
  let report = ''
  const results = new TapResults({
    onFailure: (where, diag) => {
      report += formatFailure(where, diag)
    },
    onTop: ({ skipped, name, reason }) => {
      if (skipped) report += `  skip ${name}${reason ? `: ${reason}` : ''}\n`
    },
  })
  const child = spawn(process.execPath, ['--enable-source-maps', path], {
    cwd: folder,
    env: { ...env, TAP_TIMEOUT: String(timeoutMs / 1_000) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  let heardAt = started
  child.stdout.on('data', (chunk) => {
    heardAt = performance.now()
    results.write(chunk)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    heardAt = performance.now()
    errors = (errors + chunk).slice(-20_000)
  })
  let silence
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => {
      const problem = code === 0 ? undefined : `ended with ${signal ?? `code ${code}`}`
      child.once('close', () => resolve(problem))
      // what a file leaves running holds its output open for ever
      const listen = () => {
        // timers come before what is there to be read, which may be the end
        silence = setTimeout(() => setImmediate(judge), leftBehindMs)
      }
      const judge = () => {
        if (performance.now() - heardAt < leftBehindMs) listen()
        else resolve(problem ?? 'ended, and left processes behind')
      }
      listen()
    })
  })
  const hard = setTimeout(() => child.kill('SIGKILL'), timeoutMs + LAST_WORDS_MS)
  const problem = await ended
  clearTimeout(hard)
  clearTimeout(silence)
  child.stdout.destroy()
  child.stderr.destroy()
  const { ok } = await results.end()
  const { counts } = results
  const nothing = counts.passed + counts.failed + counts.skipped === 0
  if (counts.failed === 0 && (problem || !ok || nothing)) {
    counts.failed += 1
    report += `  FAIL ${problem ?? (nothing ? 'it tested nothing' : 'its plan and its results differ')}\n`
  }
  if (counts.failed > 0 && errors) report += `  stderr:\n    ${errors.trimEnd().replaceAll('\n', '\n    ')}\n`
  return { counts, report, ms: performance.now() - started }
}
