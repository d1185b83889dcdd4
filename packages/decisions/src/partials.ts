import type { PartialDocument } from '@carillon/contracts'
import { type Liquid, Output, type Template, TypeGuards } from 'liquidjs'
import { type CompiledDocument, compileDocument } from './documents.js'
import { RenderError } from './errors.js'
import { type FindPartial, renderTag } from './render-tag.js'
import type { Inspected } from './text-checks.js'
import { ROOTS } from './text-scope.js'

/** Deepest that partials may render partials. */
const MAX_DEPTH = 8

/** Partials by key and locale. */
export type PartialDocuments = Readonly<Record<string, Readonly<Record<string, PartialDocument>>>>

export interface Partials {
  /**
   * Compiles what a text renders, and what that renders.
   * @throws RenderError for one that isn't there, can't be parsed, renders itself in a circle or isn't given what it needs
   */
  prepare(rendered: Inspected['partials'], field: string): void
  /** Compiles one that nothing renders yet. @throws RenderError */
  check(name: string, field: string): void
}

interface CompiledPartial extends CompiledDocument {
  /** 1 for one that renders no other. */
  height: number
  /** Arguments without which it never renders. */
  needs: ReadonlySet<string>
}

/**
 * The partials of a tenant for one engine, compiled when the first text renders them.
 * @param documents undefined: not known which there are; texts that render them compile, and fail when they are rendered
 */
export function addPartials(engine: Liquid, documents: PartialDocuments | undefined): Partials {
  const compiled = new Map<string, CompiledPartial>()
  const compile = (name: string, field: string, through: readonly string[]): CompiledPartial => {
    const known = compiled.get(name)
    if (known !== undefined) return known
    const refuse = (why: string) => new RenderError('TEMPLATE', field, `${field}: ${why}`)
    if (through.includes(name)) {
      const circle = [...through.slice(through.indexOf(name)), name].join(' → ')
      throw refuse(`the partials render each other in a circle: ${circle}.`)
    }
    const path = [...through, name]
    if (documents === undefined || !Object.hasOwn(documents, name))
      throw refuse(`there is no partial "${name}".`)
    if (path.length > MAX_DEPTH) throw tooDeep(field, path)
    const written = Object.entries(documents[name] as PartialDocuments[string]).map(
      ([locale, { text, messages }]) => [locale, { source: text, messages }] as const,
    )
    const document = compileDocument(engine, Object.fromEntries(written), {
      field,
      place: `the partial "${name}"`,
    })
    const inner = document.partials.map((call) => {
      const partial = compile(call.name, field, path)
      assertGiven(partial, call, `${field}: the partial "${name}" renders`, field)
      return partial
    })
    const height = 1 + Math.max(0, ...inner.map((partial) => partial.height))
    if (height > MAX_DEPTH) throw tooDeep(field, path)
    const partial = { ...document, height, needs: needsOf(engine, document.all) }
    compiled.set(name, partial)
    return partial
  }
  const find: FindPartial = (name, from) => compile(name, from.text.field, []).pick(from)
  engine.registerTag('render', renderTag(find))
  return {
    check: (name, field) => void compile(name, field, []),
    prepare(rendered, field) {
      if (documents === undefined) return
      for (const call of rendered) assertGiven(compile(call.name, field, []), call, `${field} renders`, field)
    },
  }
}

function assertGiven(
  { needs }: CompiledPartial,
  { name, given }: { name: string; given: ReadonlySet<string> },
  who: string,
  field: string,
): void {
  const missing = [...needs].filter((need) => !given.has(need))
  if (missing.length === 0) return
  const remedy = missing.map((need) => `${need}: ${Object.hasOwn(ROOTS, need) ? need : '…'}`).join(', ')
  throw new RenderError(
    'VARIABLE_MISSING',
    field,
    `${who} the partial "${name}" without ${missing.join(', ')}; it sees only what it is given, so write {% render '${name}', ${remedy} %}.`,
  )
}

function tooDeep(field: string, path: readonly string[]): RenderError {
  return new RenderError(
    'LIMIT',
    field,
    `${field}: partials render each other more than ${MAX_DEPTH} deep: ${path.join(' → ')}.`,
  )
}

/**
 * Roots of what is put out outside of any tag and without a stand-in: always needed. The roots of other texts are meant
 * as such wherever they stand.
 */
function needsOf(engine: Liquid, all: readonly Template[][]): ReadonlySet<string> {
  const needs = new Set<string>()
  for (const templates of all) {
    const free = new Set(engine.globalVariablesSync(templates))
    for (const root of free) if (Object.hasOwn(ROOTS, root)) needs.add(root)
    for (const template of templates) {
      if (!(template instanceof Output)) continue
      const { initial, filters } = template.value
      const [token] = initial.postfix
      if (token === undefined || !TypeGuards.isPropertyAccessToken(token) || filters[0]?.name === 'default')
        continue
      const root = token.variable === undefined ? token.props[0] : undefined
      if (root !== undefined && TypeGuards.isWordToken(root) && free.has(root.content))
        needs.add(root.content)
    }
  }
  return needs
}
