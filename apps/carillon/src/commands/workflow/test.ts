import { readdir, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import type { Difference } from '../../golden/compare.js'
import { type FileProblem, placeText } from '../../golden/located-yaml.js'
import { createTestRunner, type TestOutcome } from '../../golden/run-test-file.js'
import { isTestFile } from '../../mesh/workflow-names.js'
import { CommandError, EXIT } from '../../terminal/failure.js'
import { ifThere } from '../../terminal/if-there.js'

/** `carillon workflow test`: plays recorded events through workflows and compares what they decide. No mesh. */
export async function testWorkflows(
  args: { paths: readonly string[]; update?: boolean; json?: boolean },
  { base }: CommandContext,
): Promise<number> {
  const began = performance.now()
  const files = await testFiles(args.paths.length === 0 ? ['workflows'] : args.paths, base)
  const run = createTestRunner(base)
  const outcomes: TestOutcome[] = []
  for (const file of files) outcomes.push(await run(file, { update: args.update === true }))
  const failed = outcomes.filter(({ kind }) => kind === 'differs' || kind === 'broken')
  if (args.json === true)
    process.stdout.write(`${JSON.stringify({ ok: failed.length === 0, files: outcomes }, null, 2)}\n`)
  else
    process.stdout.write(
      `${[...outcomes.map(shown), summary(outcomes, performance.now() - began)].join('\n')}\n`,
    )
  return failed.length === 0 ? EXIT.ok : EXIT.failed
}

async function testFiles(paths: readonly string[], base: string): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) {
    const full = resolve(base, path)
    const found = await ifThere(stat(full))
    if (found === undefined) throw usage(`There is no ${path}.`, 'Name a folder or a *.test.yaml file.')
    if (found.isFile()) {
      if (!isTestFile(full)) throw usage(`${path} is not a test.`, 'Tests end in .test.yaml.')
      files.push(relative(base, full))
      continue
    }
    const entries = await readdir(full, { recursive: true, withFileTypes: true })
    const tests = entries.filter((entry) => entry.isFile() && isTestFile(entry.name))
    files.push(...tests.map((entry) => relative(base, join(entry.parentPath, entry.name))).sort())
  }
  if (files.length === 0)
    throw usage('There are no tests.', 'Write one beside a workflow: ride-accepted.test.yaml.')
  return [...new Set(files)]
}

function usage(message: string, remedy: string): CommandError {
  return new CommandError(message, { remedy, exitCode: EXIT.usage })
}

const MARKS = {
  passed: pc.green('✓'),
  unchanged: pc.green('✓'),
  updated: pc.yellow('✎'),
  differs: pc.red('✗'),
  broken: pc.red('✗'),
}

function shown(outcome: TestOutcome): string {
  const head = `${MARKS[outcome.kind]} ${outcome.file}`
  if (outcome.kind === 'broken') return [head, ...outcome.problems.map(problemText)].join('\n')
  const count = pc.dim(`${outcome.decisions} ${outcome.decisions === 1 ? 'decision' : 'decisions'}`)
  if (outcome.kind !== 'differs') return `${head} ${count}${outcome.kind === 'updated' ? ' written' : ''}`
  const silences = outcome.differences.some(({ title }) => title.endsWith('did not happen'))
    ? outcome.silences
    : []
  return [
    head,
    ...outcome.differences.map(differenceText),
    ...silences.map((text) => pc.dim(`    ${text}`)),
  ].join('\n')
}

function problemText({ message, remedy, ...place }: FileProblem): string {
  return `    ${placeText(place)} ${message}\n      ${pc.dim(remedy)}`
}

const PAINT = { ' ': pc.dim, '-': pc.red, '+': pc.green }

function differenceText({ place, title, lines }: Difference): string {
  const shownLines = lines.map(({ mark, text, why }) => {
    const because = why === undefined ? '' : pc.dim(`   # ${why}`)
    return `      ${PAINT[mark](`${mark} ${text}`)}${because}`
  })
  return [`    ${placeText(place)} ${title}`, ...shownLines].join('\n')
}

function summary(outcomes: readonly TestOutcome[], ms: number): string {
  const of = (...kinds: TestOutcome['kind'][]) => outcomes.filter(({ kind }) => kinds.includes(kind)).length
  const parts = [
    [of('passed', 'unchanged'), 'passed'],
    [of('updated'), 'written'],
    [of('differs', 'broken'), 'failed'],
  ] as const
  const text = parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`)
  const legend = of('differs') > 0 ? pc.dim('; - expected, + happened') : ''
  return `${text.join(', ')} ${pc.dim(`in ${Math.round(ms)} ms`)}${legend}`
}
