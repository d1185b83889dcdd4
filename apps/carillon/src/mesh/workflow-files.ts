import { watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import { messageOf } from '@carillon/service'
import { isWorkflowFile } from './workflow-names.js'

/** Told of each workflow file that was pushed, and of each that couldn't be. */
export interface WorkflowReports {
  pushed(file: string, version: number): void
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

const WEBHOOK_PLACE = /\$\{WEBHOOK_URL\}/g

/**
 * Keeps a folder of workflow files and the mesh in step. `${WEBHOOK_URL}` in a file stands for `webhookUrl`, since the
 * simulator's address is new at every start.
 */
export function openWorkflowFiles(
  folder: string,
  carillon: Pick<CarillonClient, 'putWorkflow'>,
  options: { webhookUrl: string; reports: WorkflowReports },
): WorkflowFiles {
  const push = async (file: string): Promise<void> => {
    const name = relative(folder, file)
    try {
      const text = await readFile(file, 'utf8')
      const { version } = await carillon.putWorkflow(
        text.replaceAll(WEBHOOK_PLACE, options.webhookUrl),
        basename(file).replace(/\.ya?ml$/, ''),
      )
      options.reports.pushed(name, version)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      options.reports.refused(name, error instanceof CarillonClientError ? error.message : messageOf(error))
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

async function workflowFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && isWorkflowFile(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
