import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The folder that fetched programs live in: `.carillon/engines` of the workspace this file is in, else
 * `~/.cache/carillon/engines`.
 */
export function defaultCacheRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (folder !== dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return join(folder, '.carillon', 'engines')
    folder = dirname(folder)
  }
  return join(homedir(), '.cache', 'carillon', 'engines')
}

/**
 * The cached folder of this name, made by `fill` if it is missing. Several processes may ask at once: one fills, the
 * others wait; a folder is either whole or absent, since it is filled elsewhere and renamed.
 */
export async function cached(options: {
  readonly cacheRoot: string
  readonly name: string
  readonly fill: (folder: string) => Promise<void>
}): Promise<string> {
  const { cacheRoot, name, fill } = options
  const folder = join(cacheRoot, name)
  if (existsSync(folder)) return folder
  await mkdir(cacheRoot, { recursive: true })
  const unlock = await lock(join(cacheRoot, `${name}.lock`))
  try {
    if (existsSync(folder)) return folder
    await removeDrafts(cacheRoot, name)
    const draft = await mkdtemp(join(cacheRoot, `${name}.tmp-`))
    try {
      // mkdtemp makes it private, but another uid may have to read programs in it.
      await chmod(draft, 0o755)
      await fill(draft)
      await rename(draft, folder)
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      if (!existsSync(folder)) throw error
    }
    return folder
  } finally {
    await unlock()
  }
}

/** What a filler left behind that was killed. */
async function removeDrafts(cacheRoot: string, name: string): Promise<void> {
  const drafts = (await readdir(cacheRoot)).filter((entry) => entry.startsWith(`${name}.tmp-`))
  await Promise.all(drafts.map((draft) => rm(join(cacheRoot, draft), { recursive: true, force: true })))
}

/** Waits until the lock folder is ours. A lock whose holder is gone, or older than ten minutes, is broken. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    if (await makeFolder(path)) {
      await writeFile(join(path, 'pid'), String(process.pid))
      return () => remove(path)
    }
    if (!((await isStale(path)) && (await breakLock(path))))
      await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** One at a time: who looked before another one broke the lock would take away the one that was made since. */
async function breakLock(path: string): Promise<boolean> {
  const turn = `${path}.breaking`
  if (!(await makeFolder(turn))) {
    // a turn takes milliseconds: whoever has had it for longer was killed in it
    if (((await ageOf(turn)) ?? 0) > 5_000) await remove(turn)
    return false
  }
  try {
    const stale = await isStale(path)
    if (stale) await remove(path)
    return stale
  } finally {
    await remove(turn)
  }
}

async function isStale(path: string): Promise<boolean> {
  const age = await ageOf(path)
  if (age === undefined) return false
  const pid = Number(await readFile(join(path, 'pid'), 'utf8').catch(() => ''))
  if (pid > 0 && !isAlive(pid)) return true
  return age > 600_000 || (pid === 0 && age > 5_000)
}

/** False when it is there already. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** In milliseconds; undefined when it is not there. */
async function ageOf(path: string): Promise<number | undefined> {
  try {
    return Date.now() - (await stat(path)).mtimeMs
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
