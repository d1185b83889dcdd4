import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareDecisions, type Difference } from './compare.js'
import { createWorkflowLoader } from './load-workflows.js'
import type { FileProblem } from './located-yaml.js'
import { playFixture } from './play-fixture.js'
import { createFixtureReader } from './read-fixture.js'
import { withExpect } from './write-expect.js'

/** What one test file came to. */
export type TestOutcome =
  | { kind: 'passed' | 'updated' | 'unchanged'; file: string; decisions: number }
  | { kind: 'differs'; file: string; decisions: number; differences: Difference[]; silences: string[] }
  | { kind: 'broken'; file: string; problems: FileProblem[] }

/** Runs test files, one after the other. `file` is told from `base`. */
export type TestRunner = (file: string, options: { update: boolean }) => Promise<TestOutcome>

export function createTestRunner(base: string): TestRunner {
  const readFixture = createFixtureReader()
  const loadWorkflows = createWorkflowLoader(base)
  return async (file, { update }) => {
    const read = readFixture(file, await readFile(join(base, file), 'utf8'))
    if (!read.ok) return { kind: 'broken', file, problems: read.problems }
    const { fixture } = read
    const loaded = await loadWorkflows(fixture)
    if (!loaded.ok) return { kind: 'broken', file, problems: loaded.problems }
    const result = playFixture(fixture, loaded.workflows, base)
    if (!result.ok) return { kind: 'broken', file, problems: result.problems }
    const { decisions, silences } = result.played
    const counted = { file, decisions: decisions.length }
    const listed = fixture.yaml.placeOf(['expect'], 'key')
    if (fixture.expected === undefined && !update) {
      const message = 'It expects nothing yet.'
      const remedy = 'Write what it expects, or have it written: carillon workflow test --update.'
      return { kind: 'broken', file, problems: [{ ...listed, message, remedy }] }
    }
    const differences = compareDecisions(fixture.expected ?? [], decisions, listed)
    if (update) {
      if (differences.length === 0 && fixture.expected !== undefined) return { kind: 'unchanged', ...counted }
      await writeFile(join(base, file), withExpect(fixture.yaml, decisions))
      return { kind: 'updated', ...counted }
    }
    if (differences.length === 0) return { kind: 'passed', ...counted }
    return { kind: 'differs', ...counted, differences, silences }
  }
}
