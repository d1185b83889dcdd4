import { readFileSync } from 'node:fs'
import { parseSync } from 'oxc-parser'

/**
 * What a source file imports, re-exports included, as its syntax tree says: comments and strings don't count.
 * @returns {{ specifier: string, line: number, typeOnly: boolean, dynamic: boolean }[]}
 */
export function readImports(path) {
  const text = readFileSync(path, 'utf8')
  const { module, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path} can't be parsed: ${errors[0].message}`)
  const lineOf = (offset) => text.slice(0, offset).split('\n').length
  const found = []
  for (const { start, moduleRequest, entries } of module.staticImports) {
    // `import './x.js'` has no entries and runs the module; `import type` has only typed ones.
    const typeOnly = entries.length > 0 && entries.every((entry) => entry.isType)
    found.push({ specifier: moduleRequest.value, line: lineOf(start), typeOnly, dynamic: false })
  }
  for (const { start, entries } of module.staticExports) {
    const [from] = entries.flatMap((entry) => (entry.moduleRequest ? [entry.moduleRequest.value] : []))
    if (from === undefined) continue
    found.push({
      specifier: from,
      line: lineOf(start),
      typeOnly: entries.every((e) => e.isType),
      dynamic: false,
    })
  }
  for (const { start, moduleRequest } of module.dynamicImports) {
    const quoted = /^(['"`])([^'"`]*)\1$/.exec(text.slice(moduleRequest.start, moduleRequest.end))
    if (quoted) found.push({ specifier: quoted[2], line: lineOf(start), typeOnly: false, dynamic: true })
  }
  return found
}
