import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import pc from 'picocolors'
import type { CommandContext } from '../../cli.js'
import { isWorkflowFile } from '../../mesh/workflow-names.js'
import {
  createSourceReader,
  problemLine,
  type SourcePlaces,
  type SourceProblem,
  type WorkflowSource,
} from '../../mesh/workflow-source.js'
import { CommandError, EXIT } from '../../terminal/failure.js'
import { ifThere } from '../../terminal/if-there.js'

/** Where workflow files are unless told. */
export const FOLDER = 'workflows'

export interface Sources {
  /** How many files were read. */
  files: number
  sources: WorkflowSource[]
  problems: SourceProblem[]
  /** True when folders were named and no single file: what isn't there isn't meant to be. */
  whole: boolean
}

/**
 * Reads and checks the files named, and the YAML files below folders; JSON there may be anything else. Two files with one key are a problem of the second.
 * @throws CommandError when a path isn't there, or nothing is
 */
export async function readSources(
  paths: readonly string[],
  { base }: CommandContext,
  places: SourcePlaces = {},
): Promise<Sources> {
  const read = createSourceReader(places)
  const { files, whole } = await findFiles(paths.length === 0 ? [FOLDER] : paths, base)
  const found: Sources = { files: files.length, sources: [], problems: [], whole }
  const byKey = new Map<string, string>()
  for (const file of files) {
    const result = read(relative(base, file), await readFile(file, 'utf8'))
    if (!result.ok) {
      found.problems.push(...result.problems)
      continue
    }
    const { source } = result
    const { key } = source.definition
    const other = byKey.get(key)
    if (other !== undefined) {
      const problem = { message: `"${key}" is the key of ${other} too.`, remedy: 'Give one of them another.' }
      found.problems.push(source.problemAt('key', problem))
      continue
    }
    byKey.set(key, source.file)
    found.sources.push(source)
  }
  return found
}

async function findFiles(
  paths: readonly string[],
  base: string,
): Promise<{ files: string[]; whole: boolean }> {
  const files = new Set<string>()
  let whole = true
  for (const path of paths) {
    const full = resolve(base, path)
    const found = await ifThere(stat(full))
    if (found === undefined) {
      throw new CommandError(`There is no ${path}.`, {
        remedy: 'Name workflow files or folders of them.',
        exitCode: EXIT.usage,
      })
    }
    if (found.isFile()) {
      whole = false
      files.add(full)
      continue
    }
    const entries = await readdir(full, { recursive: true, withFileTypes: true })
    const inside = entries.filter((entry) => entry.isFile() && isWorkflowFile(entry.name))
    for (const file of inside.map((entry) => join(entry.parentPath, entry.name)).sort()) files.add(file)
  }
  return { files: [...files], whole }
}

/** Writes problems for people, one a line, and a line of how many. Gives the exit code. */
export function tellProblems(problems: readonly SourceProblem[]): number {
  for (const problem of problems) process.stdout.write(`${problemLine(problem)}\n`)
  const files = new Set(problems.map(({ file }) => file)).size
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`
  process.stdout.write(`${pc.red('✗')} ${count} in ${files} file${files === 1 ? '' : 's'}\n`)
  return EXIT.failed
}
