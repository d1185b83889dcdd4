import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { CommandFailed } from './errors.js'

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  /** Milliseconds after which the program is killed; 0 waits for ever. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Runs a program to its end and returns what it printed. Throws CommandFailed when it ends with an error. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { timeoutMs = 0, ...rest } = options
  return new Promise((resolve, reject) => {
    execFile(
      command,
      [...args],
      { ...rest, timeout: timeoutMs, maxBuffer: 16 * 2 ** 20, encoding: 'utf8' },
      (error, stdout, stderr) => {
        if (error) reject(new CommandFailed(command, stderr || stdout || error.message, error))
        else resolve(stdout)
      },
    )
  })
}

/** True when the program runs and ends well: how a capability of the machine is tried. */
export async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, args, { timeoutMs: 5_000 })
    return true
  } catch (error) {
    if (error instanceof CommandFailed) return false
    throw error
  }
}

// Servers live in sbin on Debian and in Homebrew's prefix on a Mac; an ordinary user's PATH often has neither.
const extraFolders = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin']

/** Full paths of every program of these names, in the order of PATH, then the usual folders of servers. */
export async function findOnPath(names: readonly string[], path = process.env.PATH ?? ''): Promise<string[]> {
  const folders = [...new Set([...path.split(delimiter).filter(Boolean), ...extraFolders])]
  const candidates = names.flatMap((name) => folders.map((folder) => join(folder, name)))
  const usable = await Promise.all(candidates.map(isExecutable))
  return candidates.filter((_, index) => usable[index])
}

export function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}
