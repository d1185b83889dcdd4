import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/**
 * Every package and app below a workspace's root.
 * @param {string} [base]
 * @returns {{ folder: string, manifest: Record<string, any>, tags: string[] }[]} folders relative to the root
 */
export function readWorkspace(base = root) {
  return ['packages', 'apps'].flatMap((parent) => {
    if (!existsSync(join(base, parent))) return []
    return readdirSync(join(base, parent))
      .sort()
      .map((name) => `${parent}/${name}`)
      .filter((folder) => existsSync(join(base, folder, 'package.json')))
      .map((folder) => {
        const turbo = join(base, folder, 'turbo.json')
        return {
          folder,
          manifest: JSON.parse(readFileSync(join(base, folder, 'package.json'), 'utf8')),
          tags: existsSync(turbo) ? (JSON.parse(readFileSync(turbo, 'utf8')).tags ?? []) : [],
        }
      })
  })
}

const never = new Set(['node_modules', 'dist', '.turbo', '.tap', '.git', '.carillon'])

/** Files below a folder whose path passes, sorted; what is made or installed is left out. */
export function filesBelow(folder, passes = () => true) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return never.has(entry.name) ? [] : filesBelow(path, passes)
      return passes(path) ? [path] : []
    })
}
