import type { TextScope } from './text-scope.js'

/** Literal text, or a path with what stands in for it when it is missing or empty. */
type Part = string | { path: readonly string[]; instead: string | undefined }

const OUTPUT =
  /\{\{\s*((?:data|user|event|digest|unsubscribe)(?:\.[A-Za-z_]\w*)+)\s*(?:\|\s*default:\s*(?:'([^'{}]*)'|"([^"{}]*)")\s*)?\}\}/g

/** What Liquid works out when it isn't there. */
const COMPUTED = new Set(['size', 'first', 'last'])

/**
 * Most texts only put values between words. Those are joined directly, in under a microsecond; Liquid takes ten. Gives
 * undefined for a text that uses more of Liquid. What is returned gives undefined when a value isn't a plain one: then
 * Liquid decides, so that there is one meaning of everything unusual.
 */
export function plainText(source: string): ((scope: TextScope) => string | undefined) | undefined {
  const parts = partsOf(source)
  return parts === undefined ? undefined : (scope) => join(parts, scope)
}

function partsOf(source: string): Part[] | undefined {
  const parts: Part[] = []
  let end = 0
  for (const match of source.matchAll(OUTPUT)) {
    parts.push(source.slice(end, match.index))
    const path = (match[1] as string).split('.')
    if (path.some((name) => COMPUTED.has(name))) return undefined
    parts.push({ path, instead: match[2] ?? match[3] })
    end = match.index + match[0].length
  }
  parts.push(source.slice(end))
  return parts.some((part) => typeof part === 'string' && /\{[{%]|[%}]\}/.test(part)) ? undefined : parts
}

function join(parts: readonly Part[], scope: TextScope): string | undefined {
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const value = valueAt(part.path, scope)
    if (typeof value === 'string' && (value !== '' || part.instead === undefined)) text += value
    else if (typeof value === 'number') text += String(value)
    else if (part.instead !== undefined && (value === undefined || value === null || value === ''))
      text += part.instead
    else return undefined
  }
  return text
}

/** Own properties only, as in Liquid. */
function valueAt(path: readonly string[], scope: TextScope): unknown {
  let value: unknown = scope
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
