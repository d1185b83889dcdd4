import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import { messageOf } from '@carillon/service'
import { watch } from 'chokidar'
import { isWorkflowFile } from './workflow-names.js'
import { createSourceReader, problemLine, type SourceProblem } from './workflow-source.js'

/** Told of each workflow file that was pushed, and of each that couldn't be. */
export interface WorkflowReports {
  pushed(file: string, version: number): void
  /** @param problem one line for each thing that is wrong; with its place in the file where it has one */
  refused(file: string, problem: string): void
}

export interface WorkflowFiles {
  /** Pushes every workflow file below the folder. */
  pushAll(): Promise<void>
  /**
   * Once it resolves, a file that is saved is pushed at once: written in place, or put in the place of the old one as
   * many editors do, which `fs.watch` of Node 20 does not see below a folder. Resolves with how to stop.
   */
  watch(): Promise<() => Promise<void>>
}

/** An editor writes a file in several steps; they are one save. */
const SETTLE_MS = 80

/** Keeps a folder of workflow files and the mesh in step. `${WEBHOOK_URL}` in a file stands for `webhookUrl`. */
export function openWorkflowFiles(
  folder: string,
  carillon: Pick<CarillonClient, 'putWorkflow'>,
  options: { webhookUrl: string; reports: WorkflowReports },
): WorkflowFiles {
  const read = createSourceReader(options)
  const push = async (file: string): Promise<void> => {
    const name = relative(folder, file)
    try {
      const result = read(name, await readFile(file, 'utf8'))
      if (!result.ok) return options.reports.refused(name, told(result.problems))
      const { source } = result
      try {
        const { version } = await carillon.putWorkflow(source.text, source.definition.key)
        options.reports.pushed(name, version)
      } catch (error) {
        if (!(error instanceof CarillonClientError) || error.errors.length === 0) throw error
        const problems = error.errors.map(({ field, detail }) =>
          source.problemAt(field, { message: detail, remedy: '' }),
        )
        options.reports.refused(name, told(problems))
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      options.reports.refused(name, messageOf(error))
    }
  }
  return {
    async pushAll() {
      for (const file of await workflowFiles(folder)) await push(file)
    },
    async watch() {
      const timers = new Map<string, NodeJS.Timeout>()
      const saved = (file: string) => {
        clearTimeout(timers.get(file))
        timers.set(
          file,
          setTimeout(() => {
            timers.delete(file)
            void push(file)
          }, SETTLE_MS),
        )
      }
      const watcher = watch(folder, {
        ignoreInitial: true,
        ignored: (path, stats) => stats?.isFile() === true && !isWorkflowFile(path),
      })
      watcher.on('add', saved).on('change', saved)
      watcher.on('error', (error) => options.reports.refused('.', messageOf(error)))
      await new Promise<void>((resolve) => watcher.once('ready', () => resolve()))
      return async () => {
        await watcher.close()
        for (const timer of timers.values()) clearTimeout(timer)
      }
    },
  }
}

function told(problems: readonly SourceProblem[]): string {
  return problems.map(problemLine).join('\n    ')
}

async function workflowFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && isWorkflowFile(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
