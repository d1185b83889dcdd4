import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.js'
import { findOnPath, run } from './command.js'
import { type DebianArchive, readDebianArchive } from './debian-sources.js'
import { EngineUnavailable } from './errors.js'
import type { OnProgress } from './progress.js'

export interface DebianFetch {
  /** Name of the folder in the cache, and what messages call it. */
  readonly name: string
  readonly packages: readonly string[]
  /** `own`: the machine's release. `newest`: the suites where new versions appear first, tried in order. */
  readonly suite: 'own' | 'newest'
  /** `none`: just these packages. `missing`: also what they need and this machine lacks. */
  readonly dependencies: 'none' | 'missing'
  readonly cacheRoot: string
  readonly onProgress?: OnProgress | undefined
  /** What a person does when this way is closed. */
  readonly remedy: string
  readonly signal?: AbortSignal | undefined
}

const newest = { debian: ['forky', 'sid'], ubuntu: ['devel'] }

/**
 * Unpacks Debian packages into the cache and returns the folder, which looks like the root of a file system. Needs no
 * root and changes nothing outside the cache: a private apt state, the machine's own mirror, proxy and keys;
 * signatures are checked, the index's expiry is not (mirrors lag behind).
 * Throws EngineUnavailable where there is no apt, no mirror or no such package.
 */
export async function fetchDebian(options: DebianFetch): Promise<string> {
  const { name, cacheRoot, remedy, onProgress } = options
  if (existsSync(join(cacheRoot, name))) return join(cacheRoot, name)
  const archive = await readDebianArchive()
  const tools = await Promise.all(['apt-get', 'dpkg-deb'].map((tool) => findOnPath([tool])))
  if (!archive || tools.some((found) => found.length === 0)) {
    throw new EngineUnavailable(
      name,
      'it is not installed, and it can be fetched on Debian and Ubuntu only',
      remedy,
    )
  }
  const suites = options.suite === 'own' ? [archive.codename] : newest[archive.distribution]
  const problems: unknown[] = []
  for (const suite of suites) {
    onProgress?.({
      engine: name,
      step: 'fetch',
      detail: `unpacking ${options.packages.join(' ')} from ${suite}`,
    })
    try {
      return await cached({ cacheRoot, name, fill: (folder) => fill(folder, archive, suite, options) })
    } catch (error) {
      options.signal?.throwIfAborted()
      problems.push(error)
    }
  }
  const reasons = problems.map((problem) => (problem instanceof Error ? problem.message : String(problem)))
  throw new EngineUnavailable(name, `fetching it failed (${reasons.join('; ')})`, remedy, problems[0])
}

/** Folders of shared libraries in an unpacked tree, also private ones of a library, for LD_LIBRARY_PATH. */
export async function libraryFolders(root: string): Promise<string[]> {
  const found: string[] = []
  for (const base of ['usr/lib', 'lib']) {
    for (const name of await readdir(join(root, base)).catch(() => [])) {
      if (!/-linux-/.test(name)) continue
      const folder = join(root, base, name)
      found.push(folder)
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (entry.isDirectory() && (await holdsLibraries(join(folder, entry.name)))) {
          found.push(join(folder, entry.name))
        }
      }
    }
  }
  return found
}

async function holdsLibraries(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((file) => /\.so(\.|$)/.test(file))
}

async function fill(
  root: string,
  archive: DebianArchive,
  suite: string,
  options: DebianFetch,
): Promise<void> {
  // Beside the tree while it is filled, gone before anybody sees it.
  const state = join(root, '.apt')
  await mkdir(join(state, 'lists', 'partial'), { recursive: true })
  await mkdir(join(state, 'archives', 'partial'), { recursive: true })
  await writeFile(join(state, 'status'), '')
  const signedBy = archive.signedBy ?? (await keyring(archive))
  const components = archive.distribution === 'ubuntu' ? 'main universe' : 'main'
  const source = `deb ${signedBy ? `[signed-by=${signedBy}] ` : ''}${archive.uri} ${suite} ${components}\n`
  await writeFile(join(state, 'sources.list'), source)
  await writeFile(join(state, 'apt.conf'), await aptConfiguration(state, options.dependencies))
  const apt = {
    env: { ...process.env, APT_CONFIG: join(state, 'apt.conf'), LC_ALL: 'C' },
    cwd: join(state, 'archives'),
    timeoutMs: 300_000,
    ...(options.signal && { signal: options.signal }),
  }
  await run('apt-get', ['-qq', 'update'], apt)
  if (options.dependencies === 'none') await run('apt-get', ['-qq', 'download', ...options.packages], apt)
  else {
    const flags = ['-qq', '-y', '--download-only', '--no-install-recommends', '--allow-downgrades']
    await run('apt-get', [...flags, 'install', ...options.packages], apt)
  }
  const archives = (await readdir(apt.cwd)).filter((file) => file.endsWith('.deb'))
  if (archives.length === 0)
    throw new Error(`apt found nothing to download for ${options.packages.join(' ')}`)
  for (const file of archives) await run('dpkg-deb', ['-x', join(apt.cwd, file), root])
  await rm(state, { recursive: true, force: true })
}

async function aptConfiguration(state: string, dependencies: 'none' | 'missing'): Promise<string> {
  // The machine's proxies and certificates apply; its hooks and folders do not.
  const own = (await run('apt-config', ['dump', 'Acquire']))
    .split('\n')
    .filter((line) => /^Acquire::(http|https|ftp|Retries|ForceIPv4)/i.test(line))
  const status = dependencies === 'missing' ? '/var/lib/dpkg/status' : join(state, 'status')
  return [
    ...own,
    'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";',
    `Dir::Etc::sourcelist "${state}/sources.list";`,
    `Dir::State "${state}"; Dir::State::status "${status}"; Dir::State::lists "${state}/lists";`,
    `Dir::Cache "${state}"; Dir::Cache::archives "${state}/archives"; Dir::Log "${state}";`,
    'APT::Sandbox::User ""; Debug::NoLocking "1"; Acquire::Languages "none";',
    'Acquire::Check-Valid-Until "false"; Acquire::Retries "3";',
    '',
  ].join('\n')
}

async function keyring(archive: DebianArchive): Promise<string | undefined> {
  const file = `/usr/share/keyrings/${archive.distribution}-archive-keyring.gpg`
  return existsSync(file) ? file : undefined
}
