import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesBelow, readWorkspace, root } from './workspace.mjs'

const history = join(root, 'node_modules', '.carillon-test-times.json')

/**
 * Every test there is, longest first by what it took last time; one never run goes before the short ones, since those
 * with engines are long.
 * @param {string[]} filters parts of paths; none means all
 * @returns {{ files: { name: string, path: string, folder: string, timeoutMs: number }[], missing: string[] }}
 *   `missing`: sources of tests that were not compiled
 */
export function findTests(filters) {
  const wanted = (name) => filters.length === 0 || filters.some((filter) => name.includes(filter))
  const files = []
  const missing = []
  for (const { folder } of readWorkspace()) {
    const timeoutMs = timeoutOf(join(root, folder, '.taprc'))
    for (const part of ['src', 'test']) {
      for (const source of filesBelow(join(root, folder, part), (path) => /\.test\.tsx?$/.test(path))) {
        const name = source.slice(root.length + 1)
        if (!wanted(name)) continue
        const inside = source.slice(join(root, folder).length + 1).replace(/\.tsx?$/, '.js')
        const path = join(root, folder, 'dist', inside)
        if (existsSync(path)) files.push({ name, path, folder: join(root, folder), timeoutMs })
        else missing.push(name)
      }
    }
  }
  for (const path of filesBelow(join(root, 'tools'), (file) => file.endsWith('.test.mjs'))) {
    const name = path.slice(root.length + 1)
    if (wanted(name)) files.push({ name, path, folder: root, timeoutMs: timeoutOf(join(root, '.taprc')) })
  }
  const times = readTimes()
  const weight = ({ name, path }) =>
    times[name] ?? (/\/test\//.test(name) ? 20_000 : 1_000) + statSync(path).size / 100
  return { files: files.sort((a, b) => weight(b) - weight(a)), missing }
}

/** Remembers how long files took, for the order of the next run. The file is whole even if this is interrupted. */
export function rememberTimes(measured) {
  mkdirSync(dirname(history), { recursive: true })
  writeFileSync(`${history}.new`, JSON.stringify({ ...readTimes(), ...measured }))
  renameSync(`${history}.new`, history)
}

function readTimes() {
  return existsSync(history) ? JSON.parse(readFileSync(history, 'utf8')) : {}
}

/** A package's own `timeout:` in seconds, else the workspace's. */
function timeoutOf(file) {
  for (const candidate of [file, join(root, '.taprc')]) {
    const match = existsSync(candidate) && /^timeout:\s*(\d+)/m.exec(readFileSync(candidate, 'utf8'))
    if (match) return Number(match[1]) * 1_000
  }
  return 120_000
}
