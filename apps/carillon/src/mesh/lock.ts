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
      await writeFile(file, `${process.pid} ${await lifeOf(process.pid)}`, { flag: 'wx' })
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
  const [first = '', ...rest] = (await readFile(file, 'utf8').catch(() => '')).split(' ')
  const pid = Number.parseInt(first, 10)
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined
  const life = rest.join(' ')
  // after a power cut the same number is soon somebody else's
  return life === '' || life === (await lifeOf(pid)) ? pid : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Boot and start time of a process; nothing where the system doesn't say (no /proc). */
async function lifeOf(pid: number): Promise<string> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // field 22; the second, the program's name, may hold blanks
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${boot.trim()} ${started}`
  } catch {
    return ''
  }
}
