import { Context, filters, Liquid, type Template, toValueSync, UndefinedVariableError } from 'liquidjs'
import { RenderError } from './errors.js'
import { restrict } from './filters.js'
import { globalsFor, placeOf, type Rendering } from './rendering.js'

const RENDER_MS = 50
const MEMORY = 2_000_000

/** HTML that was made here and is escaped already. Its text is out of templates' reach but for putting it out whole. */
export class SafeHtml {
  readonly #html: string

  constructor(html: string) {
    this.#html = html
  }

  toString(): string {
    return this.#html
  }
}

/** @param escapes what is put in is escaped as HTML unless the template says raw */
export function createEngine(escapes: boolean): Liquid {
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
    locale: 'en',
    timezoneOffset: 0,
    ...(escapes ? { outputEscape: escapeHtml } : {}),
  })
  restrict(engine)
  return engine
}

type Escape = (this: unknown, value: unknown) => string

function escapeHtml(this: unknown, value: unknown): string {
  return value instanceof SafeHtml ? value.toString() : (filters.escape as Escape).call(this, value)
}

export interface Execution {
  templates: Template[]
  scope: object
  rendering: Rendering
  /** Counts against the limits of this one. Undefined: its own. */
  limits: Context | undefined
}

/** @throws RenderError */
export function execute(engine: Liquid, { templates, scope, rendering, limits }: Execution): string {
  const context = new Context(
    scope,
    engine.options,
    { sync: true, globals: globalsFor(rendering) },
    limits === undefined
      ? { liquid: engine }
      : { liquid: engine, memoryLimit: limits.memoryLimit, renderLimit: limits.renderLimit },
  )
  try {
    return toValueSync(engine.renderer.renderTemplates(templates, context)) as string
  } catch (error) {
    throw toRenderError(error, rendering)
  }
}

/**
 * The time limit is the only one that depends on the machine: a process that was stopped in mid-render would fail a text
 * that takes microseconds, so only a text that takes too long twice is refused.
 */
export function twice<T>(render: () => T): T {
  try {
    return render()
  } catch (error) {
    if (error instanceof RenderError && error.code === 'LIMIT') return render()
    throw error
  }
}

/** Who lacks a variable, by its root. */
const WHOSE: Readonly<Record<string, string>> = {
  user: "which the recipient doesn't have",
  digest: 'which only runs have that went through a digest',
  unsubscribe: 'which only mails have',
}

function toRenderError(error: unknown, rendering: Rendering): RenderError {
  const cause = (error as { originalError?: unknown }).originalError
  if (cause instanceof RenderError) return cause
  const { field } = rendering.text
  const place = placeOf(rendering)
  const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
  if (error instanceof UndefinedVariableError) {
    const missing = /undefined variable: ([^,\s]+)/.exec(message)?.[1] ?? 'a variable'
    const whose =
      rendering.path.length > 0
        ? "which it isn't given"
        : (WHOSE[missing.split('.', 1)[0] as string] ?? "which the event doesn't have")
    return new RenderError('VARIABLE_MISSING', field, `${place} needs ${missing}, ${whose}.`, error)
  }
  // the library has no class for it: "template render limit exceeded", "memory alloc limit exceeded"
  if (/limit exceeded|invalid string length/i.test(message)) {
    return new RenderError('LIMIT', field, `${place} takes too much time or memory to render.`, error)
  }
  return new RenderError('TEMPLATE', field, `${place}: ${message}`, error)
}
