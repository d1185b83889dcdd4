// `npm run check`: format, lint, types, boundaries, unused code; the same here and in continuous integration.
import { join } from 'node:path'
import { checkBoundaries } from './boundaries.mjs'
import { longFiles } from './long-files.mjs'
import { capture, ProgramFailed } from './steps.mjs'
import { root } from './workspace.mjs'

const bin = (name) => join(root, 'node_modules/.bin', name)
const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1' }
const program = (command, ...args) => capture(bin(command), args, { cwd: root, env })

const rules = {
  'format and lint': () => program('biome', 'check', '--error-on-warnings', '.'),
  types: () => program('tsc', '-b'),
  'boundaries by package': () => program('turbo', 'boundaries'),
  'boundaries by import': async () => {
    const { violations, files, imports } = checkBoundaries(root)
    // A checker that reads nothing is green about everything.
    if (files === 0 || imports === 0)
      violations.push('no imports were found: the checker looks in the wrong place')
    if (violations.length > 0) throw new ProgramFailed('boundaries', 1, `${violations.join('\n')}\n`)
  },
  'unused code': () => program('knip', '--no-progress', '--no-config-hints'),
}

const results = await Promise.allSettled(
  Object.entries(rules).map(async ([name, rule]) => {
    const started = performance.now()
    try {
      await rule()
      return { name, output: '', ms: performance.now() - started }
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error
      return { name, output: error.output || error.message, ms: performance.now() - started }
    }
  }),
)
for (const result of results) {
  if (result.status === 'rejected') throw result.reason
  const { name, output, ms } = result.value
  console.log(`${output ? 'not ok' : 'ok    '} ${name} … ${(ms / 1_000).toFixed(1)} s`)
  if (output) {
    process.exitCode = 1
    console.log(output.trimEnd())
  }
}
for (const { path, lines } of longFiles(root)) console.log(`long   ${path} has ${lines} lines`)
