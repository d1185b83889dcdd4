import { RenderError } from './errors.js'
import { storable } from './storable.js'
import type { TextScope } from './text-scope.js'
import { hasLiquid, MAX_TEXT, type Text, type TextCompiler, type TextOptions } from './texts.js'

type RenderText = (one: Text) => string

/** JSON whose texts are Liquid: the value itself when there is nothing to render. */
export type Structure = { fixed: unknown } | { render(text: RenderText): unknown }

/** Several of them, by name. */
export type Structures = Readonly<Record<string, Structure>>

/** All values of an object, how deep they nest, and the characters of all its texts as they are written. */
const MAX_VALUES = 500
const MAX_DEPTH = 10
const MAX_SOURCE = 20_000

/**
 * Compiles an object whose texts are Liquid, keys excepted. Texts are values for programs: blanks and line breaks stay.
 * @throws RenderError when a text's syntax is wrong, or when there is too much of it
 */
export function compileStructures(
  compiler: TextCompiler,
  written: Readonly<Record<string, unknown>>,
  at: string,
  options: Omit<TextOptions, 'html' | 'verbatim'>,
): Structures {
  let values = 0
  let source = 0
  const compile = (value: unknown, place: string, depth: number): Structure => {
    if (typeof value === 'string') source += value.length
    if (++values > MAX_VALUES || depth > MAX_DEPTH || source > MAX_SOURCE) {
      const most = `${MAX_VALUES} values, ${MAX_DEPTH} deep, ${MAX_SOURCE} characters`
      throw new RenderError('LIMIT', at, `${at} holds too much; it may have ${most}.`)
    }
    if (typeof value === 'string') {
      const text = compiler.compile(value, place, { ...options, html: false, verbatim: true })
      return hasLiquid(value) ? { render: (render) => render(text) } : { fixed: storable(value) }
    }
    if (typeof value !== 'object' || value === null) return { fixed: value }
    const parts = Object.entries(value).map(
      ([name, part]) => [storable(name), compile(part, `${place}.${name}`, depth + 1)] as const,
    )
    const joined = Array.isArray(value)
      ? (render: RenderText) => parts.map(([, part]) => renderOne(part, render))
      : (render: RenderText) => renderAll(parts, render)
    return parts.every(([, part]) => 'fixed' in part) ? { fixed: joined(nothing) } : { render: joined }
  }
  const entries = Object.entries(written)
  return Object.fromEntries(entries.map(([name, value]) => [name, compile(value, `${at}.${name}`, 0)]))
}

/**
 * What the structures give for a reader, within the limits of one text.
 * @throws RenderError
 */
export function renderStructures(
  compiler: TextCompiler,
  structures: Structures,
  reader: { at: string; scope: TextScope; tenantLocale: string },
): Record<string, unknown> {
  const { at, scope, tenantLocale } = reader
  return compiler.together(
    (text) => {
      let length = 0
      return renderAll(Object.entries(structures), (one) => {
        const rendered = text(one)
        length += rendered.length
        if (length <= MAX_TEXT) return rendered
        throw new RenderError('LIMIT', at, `${at} is longer than ${MAX_TEXT} characters.`)
      })
    },
    scope,
    tenantLocale,
  )
}

/** The values of structures that are the same for every reader; undefined when some aren't. */
export function fixedStructures(structures: Structures): Record<string, unknown> | undefined {
  const entries = Object.entries(structures)
  return entries.every(([, part]) => 'fixed' in part) ? renderAll(entries, nothing) : undefined
}

type Named = readonly (readonly [string, Structure])[]

function renderAll(parts: Named, render: RenderText): Record<string, unknown> {
  return Object.fromEntries(parts.map(([name, part]) => [name, renderOne(part, render)]))
}

function renderOne(structure: Structure, render: RenderText): unknown {
  return 'fixed' in structure ? structure.fixed : structure.render(render)
}

/** For what has nothing to render. */
const nothing: RenderText = () => ''
