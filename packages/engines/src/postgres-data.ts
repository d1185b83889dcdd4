import { existsSync } from 'node:fs'
import { chmod, mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cached } from './cache.js'
import { run } from './command.js'
import { type Identity, takeOwnership } from './identity.js'
import type { LocatedPostgres } from './postgres-binaries.js'

export interface ClusterOptions {
  readonly dataDir: string
  readonly found: LocatedPostgres
  readonly identity: Identity
  /** Of the superuser `postgres`; undefined trusts whoever reaches loopback. */
  readonly password: string | undefined
  /** Copies a cluster made once, which saves most of the time of making one. */
  readonly templateRoot: string | undefined
}

/**
 * Makes the database cluster if the folder has none, whole or not at all; gives the folder to its user. One that is not
 * copied from the template is on disk then: a power cut right after the first start leaves it usable.
 */
export async function ensureCluster(options: ClusterOptions): Promise<void> {
  const { dataDir, identity, templateRoot } = options
  if (!existsSync(join(dataDir, 'PG_VERSION'))) {
    const draft = `${dataDir}.new-${process.pid}`
    await rm(draft, { recursive: true, force: true })
    if (templateRoot !== undefined && options.password === undefined)
      await copyTemplate(draft, templateRoot, options)
    else await initialise(draft, options, 'sync')
    // An empty folder may be there already; one with something in it is not ours to replace.
    await rename(draft, dataDir).catch(async (error: unknown) => {
      await rm(draft, { recursive: true, force: true })
      throw error
    })
    await syncFolder(dirname(dataDir))
  }
  await takeOwnership(dataDir, identity)
}

async function copyTemplate(draft: string, cacheRoot: string, options: ClusterOptions): Promise<void> {
  const { found, identity } = options
  const user = identity.owner ?? process.getuid?.() ?? 0
  const template = await cached({
    cacheRoot,
    name: `postgres-template-${found.version}-${user}`,
    fill: (folder) => initialise(join(folder, 'data'), options, 'no-sync'),
  })
  await run('cp', ['-a', join(template, 'data'), draft])
}

/** What is in a folder under which name reaches the disk with the folder, not with its files. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function initialise(
  folder: string,
  options: ClusterOptions,
  durability: 'sync' | 'no-sync',
): Promise<void> {
  const { found, identity, password } = options
  await mkdir(folder, { mode: 0o700 })
  await takeOwnership(folder, identity)
  const passwordFile = `${folder}.password`
  if (password !== undefined) {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
    await takeOwnership(passwordFile, identity)
  }
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const access =
    password === undefined ? ['--auth=trust'] : ['--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const quick = durability === 'no-sync' ? ['--no-sync'] : []
  const flags = ['-D', folder, '-U', 'postgres', ...quick, ...locale, ...access]
  const [command = '', ...args] = [...identity.prefix, found.initdb, ...flags]
  try {
    await run(command, args, { ...identity.spawn, cwd: '/', timeoutMs: 60_000 })
    await chmod(folder, 0o700)
  } finally {
    await rm(passwordFile, { force: true })
  }
}
