import { Liquid, type Template } from 'liquidjs'
import { RenderError } from './errors.js'

/** What texts see. */
export interface TextScope {
  data: unknown
  user: { id: string; name: string | null; email: string | null; locale: string; timezone: string | null }
  event: { id: string; type: string; source: string; subject: string | null; time: string | null }
}

/** A parsed text. `render` is synchronous and has limits on time, memory and output. */
export interface Text {
  /** @throws RenderError */
  render(scope: TextScope): string
}

export interface TextCompiler {
  /** `html` escapes what is put in. @throws RenderError when the template's syntax is wrong */
  compile(source: string, field: string, options: { html: boolean }): Text
}

const MAX_TEXT = 8_192
const MAX_HTML = 262_144
const RENDER_MS = 50
const MEMORY = 2_000_000

/** Liquid with its built-in filters, `money` in the reader's locale, no file system, and limits that hold. */
export function createTextCompiler(): TextCompiler {
  const plain = createEngine(false)
  const escaping = createEngine(true)
  return {
    compile(source, field, { html }) {
      // most short texts hold no Liquid at all: they cost nothing at run time
      if (!source.includes('{')) return fixedText(clean(source, field, html))
      const engine = html ? escaping : plain
      return renderedText(engine, parse(engine, source, field), field, html)
    },
  }
}

function fixedText(text: string): Text {
  return { render: () => text }
}

function renderedText(engine: Liquid, templates: Template[], field: string, html: boolean): Text {
  return {
    render(scope) {
      let output: string
      try {
        output = engine.renderSync(templates, scope) as string
      } catch (error) {
        throw toRenderError(error, field)
      }
      return clean(output, field, html)
    },
  }
}

function parse(engine: Liquid, source: string, field: string): Template[] {
  try {
    return engine.parse(source)
  } catch (error) {
    throw new RenderError('TEMPLATE', field, `${field}: ${messageOf(error)}`, error)
  }
}

function createEngine(escapes: boolean): Liquid {
  const engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    parseLimit: 100_000,
    renderLimit: RENDER_MS,
    memoryLimit: MEMORY,
    relativeReference: false,
    templates: {},
    ...(escapes ? { outputEscape: 'escape' as const } : {}),
  })
  const formats = new Map<string, Intl.NumberFormat>()
  engine.registerFilter('money', function (amount: unknown, currency: unknown) {
    const locale = String(this.context.getSync(['user', 'locale']))
    const key = `${locale} ${String(currency)}`
    let format = formats.get(key)
    if (format === undefined) {
      format = new Intl.NumberFormat(locale, { style: 'currency', currency: String(currency) })
      formats.set(key, format)
    }
    return format.format(Number(amount))
  })
  return engine
}

function toRenderError(error: unknown, field: string): RenderError {
  const message = messageOf(error)
  const missing = /undefined variable: ([^,\s]+)/.exec(message)?.[1]
  if (missing !== undefined) {
    return new RenderError(
      'VARIABLE_MISSING',
      field,
      `${field} needs ${missing}, which the event doesn't have.`,
      error,
    )
  }
  if (/limit exceeded/i.test(message)) {
    return new RenderError('LIMIT', field, `${field} takes too much time or memory to render.`, error)
  }
  return new RenderError('TEMPLATE', field, `${field}: ${message}`, error)
}

// Control characters: PostgreSQL's text can't hold NUL, and the others have no meaning in a notification.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const ONE_LINE = new Set(['title', 'subject', 'url', 'imageUrl'])

function clean(output: string, field: string, html: boolean): string {
  if (output.length > (html ? MAX_HTML : MAX_TEXT)) {
    throw new RenderError('LIMIT', field, `${field} is longer than ${html ? MAX_HTML : MAX_TEXT} characters.`)
  }
  const text = output.replace(CONTROL, '').replace(LONE_SURROGATE, '\ufffd')
  return ONE_LINE.has(field.slice(field.lastIndexOf('.') + 1))
    ? text.replace(/\s*[\r\n]+\s*/g, ' ').trim()
    : text.trim()
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
