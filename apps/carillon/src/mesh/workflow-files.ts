import { watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import { messageOf } from '@carillon/service'
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
  /** From now on a file that is saved is pushed at once. Returns how to stop. */
  watch(): () => void
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
    watch() {
      const timers = new Map<string, NodeJS.Timeout>()
      const watcher = watch(folder, { recursive: true }, (_event, name) => {
        if (name === null || !isWorkflowFile(name)) return
        clearTimeout(timers.get(name))
        timers.set(
          name,
          setTimeout(() => {
            timers.delete(name)
            void push(join(folder, name))
          }, SETTLE_MS),
        )
      })
      return () => {
        watcher.close()
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
