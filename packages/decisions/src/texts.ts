import { Context } from 'liquidjs'
import { parse } from './documents.js'
import { RenderError } from './errors.js'
import { createFormats } from './formats.js'
import { createLayouts, type LayoutDocuments, paragraphs } from './layouts.js'
import { createEngine, execute, SafeHtml, twice } from './liquid-engine.js'
import { createLocaleChains } from './locale-chains.js'
import { type Messages, NO_MESSAGES } from './messages.js'
import { addPartials, type PartialDocuments } from './partials.js'
import { plainText } from './plain-text.js'
import { renderingFor, type Shared, type TextFacts } from './rendering.js'
import { storable } from './storable.js'
import { assertNamesKnown, inspect } from './text-checks.js'
import { createNullRemover, type TextScope } from './text-scope.js'

export type { TextScope } from './text-scope.js'

/** A parsed text. `render` is synchronous and has limits on time, memory and output. */
export interface Text {
  /**
   * @param tenantLocale what a reader falls back to, and what texts without a locale are written in. Default: the reader's
   * @throws RenderError
   */
  render(scope: TextScope, tenantLocale?: string): string
}

export interface TextOptions {
  /** Escapes what is put in. */
  html: boolean
  /** True for texts that only mails show: they see `unsubscribe`. Default: `html`. */
  mail?: boolean
  /** The locale that the text is written in. Default: the tenant's. */
  locale?: string | undefined
  /** What the filter `t` finds. */
  messages?: Messages
  /** A value for a program: blanks and line breaks stay as they are. Default: false. */
  verbatim?: boolean
}

export interface TextCompiler {
  /**
   * @throws RenderError when the template's syntax is wrong, when it names something that texts never see, or a partial
   * or a message that isn't there
   */
  compile(source: string, field: string, options: TextOptions): Text
  /**
   * Puts a mail's text into a layout. Its limits are those of both together. Plain text becomes paragraphs.
   * @throws RenderError when there is no such layout, or it can't be compiled
   */
  wrap(inner: Text, layout: string, options: { field: string; html: boolean }): Text
  /**
   * Renders several texts, each when it is asked for, within the limits of one.
   * @throws RenderError
   */
  together<T>(render: (text: (one: Text) => string) => T, scope: TextScope, tenantLocale?: string): T
  /** Compiles a partial or a layout that nothing needs yet. @throws RenderError */
  check(kind: 'partial' | 'layout', key: string, field: string): void
}

/** What texts may refer to, by key and locale. Absent: not known which there are, so that only rendering them fails. */
export interface TextDocuments {
  partials?: PartialDocuments | undefined
  layouts?: LayoutDocuments | undefined
}

export const MAX_TEXT = 8_192
const MAX_HTML = 262_144

/** A text within the limits of another one; what it throws is told already, but nothing is tried again. */
interface InnerText extends Text {
  renderWithin(scope: TextScope, tenantLocale: string, limits: (() => Context) | undefined): string
}

/** True for a text that has to be rendered. */
export function hasLiquid(source: string): boolean {
  return source.includes('{{') || source.includes('{%')
}

/** Liquid with the filters of filters.ts, no file system, no clock, and limits that hold. */
export function createTextCompiler(documents: TextDocuments = {}): TextCompiler {
  // an engine takes a tenth of a millisecond, and most workflows have no HTML
  const plain = once(() => engineFor(false, documents))
  const escaping = once(() => engineFor(true, documents))
  const findLayout = once(() => createLayouts(escaping().engine, escaping().partials, documents.layouts))
  const shared: Shared = { formats: createFormats(), chains: createLocaleChains() }
  const withoutNulls = createNullRemover()
  const compile = (source: string, field: string, options: TextOptions): InnerText => {
    const { html, mail = html, locale, messages = NO_MESSAGES, verbatim = false } = options
    const as = { html, verbatim }
    const cleaned = (output: string) => clean(output, field, as)
    // a text without Liquid costs nothing at run time
    if (!hasLiquid(source)) {
      const text = cleaned(source)
      return { render: () => text, renderWithin: () => text }
    }
    const { engine, partials } = html ? escaping() : plain()
    const templates = parse(engine, source, { field, place: field })
    assertNamesKnown(engine, templates, { field, mail, layout: false })
    const { inline, partials: rendered } = inspect(templates, {
      source,
      field,
      place: field,
      messages,
      locale,
    })
    partials.prepare(rendered, field)
    const plainly = html ? undefined : plainText(source)
    const text: TextFacts = { shared, field, locale, inline, messages }
    const renderLiquid: InnerText['renderWithin'] = (scope, tenantLocale, limits) => {
      const rendering = renderingFor(scope, text, tenantLocale)
      return cleaned(
        execute(engine, { templates, scope: withoutNulls(scope), rendering, limits: limits?.() }),
      )
    }
    return {
      renderWithin(scope, tenantLocale, limits) {
        const joined = plainly?.(scope)
        return joined === undefined ? renderLiquid(scope, tenantLocale, limits) : cleaned(joined)
      },
      render(scope, tenantLocale = scope.user.locale) {
        const joined = plainly?.(scope)
        if (joined !== undefined) return cleaned(joined)
        return twice(() => renderLiquid(scope, tenantLocale, undefined))
      },
    }
  }
  const wrap = (
    inner: Text,
    layout: string,
    { field, html }: { field: string; html: boolean },
  ): InnerText => {
    // whether there is one can't be known without the layouts
    if (documents.layouts !== undefined) findLayout()(layout, field)
    const { engine } = escaping()
    const text: TextFacts = { shared, field, locale: undefined, inline: new Map(), messages: NO_MESSAGES }
    const renderWithin: InnerText['renderWithin'] = (scope, tenantLocale) => {
      const limits = once(() => new Context({}, engine.options, { sync: true }))
      const own = (inner as InnerText).renderWithin(scope, tenantLocale, limits)
      const { templates, rendering } = findLayout()(layout, field).pick(
        renderingFor(scope, text, tenantLocale),
      )
      const within = { ...withoutNulls(scope), content: new SafeHtml(html ? own : paragraphs(own)) }
      const output = execute(engine, { templates, scope: within, rendering, limits: limits() })
      return clean(output, field, { html: true, verbatim: false })
    }
    return {
      renderWithin,
      render: (scope, tenantLocale = scope.user.locale) =>
        twice(() => renderWithin(scope, tenantLocale, undefined)),
    }
  }
  return {
    compile,
    wrap,
    together: (render, scope, tenantLocale = scope.user.locale) =>
      twice(() => {
        const limits = once(() => new Context({}, plain().engine.options, { sync: true }))
        return render((one) => (one as InnerText).renderWithin(scope, tenantLocale, limits))
      }),
    check(kind, key, field) {
      if (kind === 'layout') findLayout()(key, field)
      else escaping().partials.check(key, field)
    },
  }
}

function engineFor(escapes: boolean, { partials }: TextDocuments) {
  const engine = createEngine(escapes)
  return { engine, partials: addPartials(engine, partials) }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

// what stands in one line: a line break in a subject or an address would begin a header or another address
const ONE_LINE = new Set([
  ...['title', 'subtitle', 'subject', 'url', 'imageUrl', 'replyTo'],
  ...['sound', 'channelId', 'threadId', 'analyticsLabel', 'id'],
])

function clean(
  output: string,
  field: string,
  { html, verbatim }: { html: boolean; verbatim: boolean },
): string {
  if (output.length > (html ? MAX_HTML : MAX_TEXT)) {
    throw new RenderError('LIMIT', field, `${field} is longer than ${html ? MAX_HTML : MAX_TEXT} characters.`)
  }
  const text = storable(output)
  if (verbatim) return text
  return ONE_LINE.has(field.slice(field.lastIndexOf('.') + 1))
    ? text.replace(/\s*[\r\n]+\s*/g, ' ').trim()
    : text.trim()
}
