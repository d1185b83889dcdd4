import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { defaultCacheRoot } from './cache.js'
import { findOnPath, run } from './command.js'
import { fetchDebian, libraryFolders } from './debian.js'
import { CommandFailed, type EngineName, EngineUnavailable } from './errors.js'
import type { Located, LocateOptions } from './located.js'
import { locatePostgres } from './postgres-binaries.js'
import { isAtLeast, parseVersion } from './version.js'

interface Recipe {
  readonly engine: EngineName
  readonly names: readonly string[]
  readonly minimum: readonly number[]
  readonly remedy: string
  readonly fetch: {
    name: string
    packages: string[]
    suite: 'own' | 'newest'
    dependencies: 'none' | 'missing'
  }
  readonly unpacked: string
}

const nats: Recipe = {
  engine: 'nats',
  names: ['nats-server'],
  minimum: [2, 12, 0],
  remedy: 'Install nats-server 2.12 or newer (macOS: brew install nats-server) or set NATS_URL.',
  fetch: { name: 'nats-server', packages: ['nats-server'], suite: 'newest', dependencies: 'none' },
  unpacked: 'usr/sbin/nats-server',
}

const redis: Recipe = {
  engine: 'redis',
  names: ['redis-server', 'valkey-server'],
  minimum: [7, 0, 0],
  remedy: 'Install Redis 7 or Valkey (macOS: brew install valkey) or set REDIS_URL.',
  fetch: { name: 'redis', packages: ['redis-server'], suite: 'own', dependencies: 'missing' },
  unpacked: 'usr/bin/redis-server',
}

/**
 * A nats-server of at least 2.12: the given one, the PATH's, the cache's, else fetched into the cache.
 * Throws EngineUnavailable with a remedy.
 */
export function locateNats(options: LocateOptions = {}): Promise<Located> {
  return locate(nats, options)
}

/** A Redis of at least 7.0, or a Valkey, looked for like `locateNats`. */
export function locateRedis(options: LocateOptions = {}): Promise<Located> {
  return locate(redis, options)
}

/** All three, one after the other, so that progress reads well; what must be fetched is fetched now. */
export async function locateEngines(options: Omit<LocateOptions, 'binary'> = {}): Promise<Located[]> {
  return [await locatePostgres(options), await locateNats(options), await locateRedis(options)]
}

async function locate(recipe: Recipe, options: LocateOptions): Promise<Located> {
  const { engine, minimum, remedy } = recipe
  const cacheRoot = options.cacheRoot ?? defaultCacheRoot()
  if (options.binary !== undefined) {
    const version = await versionOf(options.binary, {})
    if (version && isAtLeast(version, minimum)) return located(engine, options.binary, {}, version, 'option')
    throw new EngineUnavailable(engine, `${options.binary} ${tooOld(version, minimum)}`, remedy)
  }
  for (const command of await findOnPath(recipe.names, options.path)) {
    const version = await versionOf(command, {})
    if (version && isAtLeast(version, minimum)) return located(engine, command, {}, version, 'path')
  }
  const folder = join(cacheRoot, recipe.fetch.name)
  const wasThere = existsSync(folder)
  const found = wasThere ? await tryFolder(recipe, folder, 'cache') : undefined
  if (found) return found
  // A tree that no longer runs (an upgrade of the system under it) is fetched again.
  if (wasThere) await rm(folder, { recursive: true, force: true })
  const { onProgress, signal } = options
  const root = await fetchDebian({ ...recipe.fetch, cacheRoot, remedy, onProgress, signal })
  const fetched = await tryFolder(recipe, root, 'package')
  if (fetched) return fetched
  throw new EngineUnavailable(
    engine,
    `the fetched program does not run here or is older than ${minimum.join('.')}`,
    remedy,
  )
}

async function tryFolder(
  recipe: Recipe,
  root: string,
  origin: Located['origin'],
): Promise<Located | undefined> {
  const command = join(root, recipe.unpacked)
  const env = { LD_LIBRARY_PATH: (await libraryFolders(root)).join(':') }
  const version = await versionOf(command, env)
  return version && isAtLeast(version, recipe.minimum)
    ? located(recipe.engine, command, env, version, origin)
    : undefined
}

async function versionOf(command: string, env: Record<string, string>): Promise<number[] | undefined> {
  try {
    const output = await run(command, ['--version'], { env: { ...process.env, ...env }, timeoutMs: 10_000 })
    return parseVersion(output)
  } catch (error) {
    if (error instanceof CommandFailed) return undefined
    throw error
  }
}

function located(
  engine: EngineName,
  command: string,
  env: Record<string, string>,
  version: readonly number[],
  origin: Located['origin'],
): Located {
  return { engine, command, env, version: version.join('.'), origin }
}

function tooOld(version: readonly number[] | undefined, minimum: readonly number[]): string {
  return version ? `is ${version.join('.')}, older than ${minimum.join('.')}` : 'does not run'
}
