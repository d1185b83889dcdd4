import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { filesBelow, readWorkspace } from './workspace.mjs'

/** Sources over `limit` lines: a smell, not an error. Tests and files of types only are left out. */
export function longFiles(base, limit = 300) {
  return readWorkspace(base)
    .flatMap(({ folder }) => filesBelow(join(base, folder, 'src'), isSource))
    .map((path) => ({ path: relative(base, path), lines: readFileSync(path, 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > limit)
    .sort((a, b) => b.lines - a.lines)
}

function isSource(path) {
  return /\.tsx?$/.test(path) && !/(\.test\.tsx?|\.d\.ts|types\.ts)$/.test(path)
}
