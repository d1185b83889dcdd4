import type { Liquid, Template } from 'liquidjs'
import { RenderError } from './errors.js'
import type { IcuMessage } from './icu-messages.js'
import { normalLocale } from './locale-chains.js'
import { compileMessages, type Messages } from './messages.js'
import type { Rendering } from './rendering.js'
import { inspect } from './text-checks.js'

/** A partial or a layout: one source, and messages, for each locale; `default` is the last resort. */
export type Document = Readonly<
  Record<string, { source: string; messages: Readonly<Record<string, string>> | undefined }>
>

interface Localised {
  templates: Template[]
  inline: ReadonlyMap<string, IcuMessage>
  locale: string | undefined
}

export interface CompiledDocument {
  /** Templates of all locales, for checks. */
  all: readonly Template[][]
  /** The partials that any locale renders. */
  partials: readonly { name: string; given: ReadonlySet<string> }[]
  /** For a reader: what to render, and what filters in it know. */
  pick(from: Rendering): { templates: Template[]; rendering: Rendering }
}

/**
 * Parses a document in all its locales.
 * @param where.place the document in words, like `the partial "card"`
 * @throws RenderError
 */
export function compileDocument(
  engine: Liquid,
  document: Document,
  where: { field: string; place: string },
): CompiledDocument {
  const { default: base, ...locales } = document
  const problem = (why: string, cause?: unknown) =>
    new RenderError('TEMPLATE', where.field, `${where.field}: ${where.place} ${why}`, cause)
  if (base === undefined) throw problem('has no default, for readers in whose locale it is not written.')
  const messages = messagesOf(base, locales, problem)
  const compile = (source: string, locale: string | undefined) => {
    const place = `${where.field}: ${where.place}${locale === undefined ? '' : ` (${locale})`}`
    const templates = parse(engine, source, { field: where.field, place })
    return {
      templates,
      locale,
      ...inspect(templates, { source, field: where.field, place, messages, locale }),
    }
  }
  const fallback = compile(base.source, undefined)
  const compiled = Object.entries(locales).map(([locale, { source }]) => compile(source, locale))
  const byLocale = new Map<string, Localised>(
    compiled.map((localised) => [normalLocale(localised.locale ?? ''), localised]),
  )
  return {
    all: [fallback, ...compiled].map(({ templates }) => templates),
    partials: [fallback, ...compiled].flatMap(({ partials }) => partials),
    pick(from) {
      const { shared, field } = from.text
      const chain = byLocale.size === 0 ? [] : shared.chains(from.reader.locale, from.tenantLocale)
      const found = chain.find((locale) => byLocale.has(locale))
      const { templates, inline, locale } =
        found === undefined ? fallback : (byLocale.get(found) as Localised)
      return { templates, rendering: { ...from, text: { shared, field, inline, messages, locale } } }
    },
  }
}

function messagesOf(
  base: Document[string],
  locales: Omit<Document, 'default'>,
  problem: (why: string, cause: unknown) => RenderError,
): Messages {
  try {
    return compileMessages(
      base.messages,
      Object.fromEntries(Object.entries(locales).map(([locale, { messages }]) => [locale, messages])),
      'default',
    )
  } catch (error) {
    if (error instanceof RenderError) throw problem(`says: ${error.message}`, error)
    throw error
  }
}

/** @throws RenderError when the syntax is wrong */
export function parse(
  engine: Liquid,
  source: string,
  { field, place }: { field: string; place: string },
): Template[] {
  try {
    return engine.parse(source)
  } catch (error) {
    const why = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
    throw new RenderError('TEMPLATE', field, `${place}: ${why}`, error)
  }
}
