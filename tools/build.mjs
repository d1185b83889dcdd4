import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { capture } from './steps.mjs'
import { filesBelow, readWorkspace, root } from './workspace.mjs'

const stamp = join(root, 'node_modules', '.carillon-built')

/**
 * What has to be built: `types` when any source is newer than the last build, `web` the packages whose `build:web`
 * script has new input. `done()` records that it was.
 */
export function planBuild() {
  const before = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : {}
  const members = readWorkspace()
  const prints = new Map(members.map((member) => [member.manifest.name, fingerprint(member.folder)]))
  const shared = hash(['tsconfig.json', 'tsconfig.base.json'].map((file) => describe(join(root, file))))
  const compiled = members.filter(({ folder }) => existsSync(join(root, folder, 'tsconfig.json')))
  const whole = compiled.every(({ folder }) => existsSync(join(root, folder, 'dist')) || !hasSource(folder))
  const now = { types: hash([shared, ...prints.values()]), web: {} }
  const web = []
  for (const member of members.filter(({ manifest }) => manifest.scripts?.['build:web'])) {
    const parts = [member, ...dependenciesOf(member, members)].map(
      ({ manifest }) => prints.get(manifest.name) ?? '',
    )
    now.web[member.folder] = hash([shared, ...parts])
    const made = existsSync(join(root, member.folder, 'dist'))
    if (!made || before.web?.[member.folder] !== now.web[member.folder]) web.push(member.folder)
  }
  return {
    types: !whole || before.types !== now.types,
    web,
    done: () => {
      mkdirSync(dirname(stamp), { recursive: true })
      writeFileSync(stamp, JSON.stringify(now))
    },
  }
}

/** Compiles every package, after removing what deleted sources left behind: a deleted test must not run on. */
export async function buildTypes(env) {
  for (const { folder } of readWorkspace()) removeStale(join(root, folder))
  await capture(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: root, env })
}

/** Bundles one web package with its own `build:web` script. */
export async function buildWeb(folder, env) {
  await capture('npm', ['run', '--silent', 'build:web'], { cwd: join(root, folder), env })
}

/** Removes compiled files below `dist/src` and `dist/test` whose TypeScript is gone. */
export function removeStale(base) {
  for (const part of ['src', 'test']) {
    for (const file of compiledFiles(join(base, 'dist', part))) {
      const stem = relative(join(base, 'dist'), file).replace(/(\.d\.ts|\.js)(\.map)?$/, '')
      const alive = ['.ts', '.tsx'].some((extension) => existsSync(join(base, stem + extension)))
      if (!alive) rmSync(file)
    }
  }
}

function compiledFiles(folder) {
  return filesBelow(folder, (path) => /(\.d\.ts|\.js)(\.map)?$/.test(path))
}

function hasSource(folder) {
  return filesBelow(join(root, folder, 'src')).length > 0
}

function dependenciesOf(member, members, seen = new Set()) {
  const names = Object.keys({ ...member.manifest.dependencies, ...member.manifest.devDependencies })
  for (const other of members) {
    if (!names.includes(other.manifest.name) || seen.has(other)) continue
    seen.add(other)
    dependenciesOf(other, members, seen)
  }
  return [...seen]
}

function fingerprint(folder) {
  return hash(filesBelow(join(root, folder)).map(describe))
}

function describe(path) {
  if (!existsSync(path)) return `${path} absent`
  const { mtimeMs, size } = statSync(path)
  return `${relative(root, path)} ${mtimeMs} ${size}`
}

function hash(parts) {
  return createHash('sha256').update(parts.join('\n')).digest('hex')
}
