import { readFile, rm, writeFile } from 'node:fs/promises'
import { CommandError } from '../terminal/failure.js'

/** Held while a mesh runs in a folder: two on the same data would destroy it. */
export interface FolderLock {
  release(): Promise<void>
}

/** @throws CommandError when a living process holds it */
export async function lockFolder(file: string): Promise<FolderLock> {
  for (;;) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' })
      return { release: () => rm(file, { force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const owner = await holder(file)
      if (owner !== undefined) {
        throw new CommandError(`A mesh is running here already (process ${owner}).`, {
          remedy: 'Use that one, stop it with Ctrl-C, or set CARILLON_DIR to run a second one beside it.',
        })
      }
      // left behind by a process that is gone
      await rm(file, { force: true })
    }
  }
}

/** The process that holds the lock, if it lives. */
export async function holder(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  try {
    process.kill(pid, 0)
    return pid
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : undefined
  }
}
