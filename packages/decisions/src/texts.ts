import { Liquid, type Template, UndefinedVariableError } from 'liquidjs'
import { RenderError } from './errors.js'
import { restrict } from './filters.js'
import { plainText } from './plain-text.js'
import { storable } from './storable.js'

/** What texts see. A null is as good as nothing: `{{ user.name }}` of somebody without a name is a missing variable. */
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
  /**
   * `html` escapes what is put in.
   * @throws RenderError when the template's syntax is wrong, or when it names something that texts never see
   */
  compile(source: string, field: string, options: { html: boolean }): Text
}

const MAX_TEXT = 8_192
const MAX_HTML = 262_144
const RENDER_MS = 50
const MEMORY = 2_000_000

/** Names under each root; undefined: whatever the event brings. */
const ROOTS: Readonly<Record<string, readonly string[] | undefined>> = {
  data: undefined,
  user: ['id', 'name', 'email', 'locale', 'timezone'],
  event: ['id', 'type', 'source', 'subject', 'time'],
}

/** Liquid with the filters of filters.ts, no file system, no clock, and limits that hold. */
export function createTextCompiler(): TextCompiler {
  const plain = createEngine(false)
  const escaping = createEngine(true)
  const withoutNulls = createNullRemover()
  return {
    compile(source, field, { html }) {
      // a text without Liquid costs nothing at run time
      if (!source.includes('{{') && !source.includes('{%')) {
        const text = clean(source, field, html)
        return { render: () => text }
      }
      const engine = html ? escaping : plain
      const templates = parse(engine, source, field)
      assertNamesKnown(engine, templates, field)
      const plainly = html ? undefined : plainText(source)
      return {
        render: (scope) =>
          clean(plainly?.(scope) ?? renderTwice(engine, templates, withoutNulls(scope), field), field, html),
      }
    },
  }
}

/**
 * The time limit is the only one that depends on the machine: a process that was stopped in mid-render would fail a text
 * that takes microseconds, so only a text that takes too long twice is refused.
 */
function renderTwice(engine: Liquid, templates: Template[], scope: object, field: string): string {
  try {
    return engine.renderSync(templates, scope) as string
  } catch (error) {
    const first = toRenderError(error, field)
    if (first.code !== 'LIMIT') throw first
    try {
      return engine.renderSync(templates, scope) as string
    } catch (again) {
      throw toRenderError(again, field)
    }
  }
}

function parse(engine: Liquid, source: string, field: string): Template[] {
  try {
    return engine.parse(source)
  } catch (error) {
    throw new RenderError('TEMPLATE', field, `${field}: ${messageOf(error)}`, error)
  }
}

/** A name that no event can bring is known to be missing when the workflow is saved. */
function assertNamesKnown(engine: Liquid, templates: Template[], field: string): void {
  for (const segments of engine.globalVariableSegmentsSync(templates)) {
    const [root, name] = segments
    if (typeof root !== 'string') continue
    if (!Object.hasOwn(ROOTS, root)) {
      throw new RenderError(
        'VARIABLE_MISSING',
        field,
        `${field} names "${root}"; texts see data, user and event, so write data.${root} if the event brings it.`,
      )
    }
    const names = ROOTS[root]
    if (names !== undefined && typeof name === 'string' && !names.includes(name)) {
      throw new RenderError(
        'VARIABLE_MISSING',
        field,
        `${field} names ${root}.${name}; ${root} has ${names.join(', ')}.`,
      )
    }
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
    locale: 'en',
    timezoneOffset: 0,
    ...(escapes ? { outputEscape: 'escape' as const } : {}),
  })
  restrict(engine)
  return engine
}

/** Leaves nulls out of a scope, so that strictness sees them. Data is gone through once an event, not once a reader. */
function createNullRemover(): (scope: TextScope) => object {
  const seen = new WeakMap<object, unknown>()
  return ({ data, user, event }) => {
    let known: unknown = data
    if (typeof data === 'object' && data !== null) {
      known = seen.get(data)
      if (known === undefined) {
        known = withoutNull(data, 0)
        seen.set(data, known)
      }
    }
    return { data: known ?? undefined, user: withoutNull(user, 0), event: withoutNull(event, 0) }
  }
}

/** Deeper than any event may nest. */
const MAX_DEPTH = 200

/** The value itself when it holds no null; list entries stay, since leaving one out would move the others. */
function withoutNull(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let index = 0; index < value.length; index++) {
      const part = withoutNull(value[index], depth + 1)
      if (part === value[index]) continue
      copy ??= [...value]
      copy[index] = part
    }
    return copy ?? value
  }
  const record = value as Record<string, unknown>
  let copy: Record<string, unknown> | undefined
  for (const name in record) {
    const part = withoutNull(record[name], depth + 1)
    if (part !== null && part === record[name]) continue
    copy ??= Object.assign(Object.create(null), record) as Record<string, unknown>
    if (part === null) delete copy[name]
    else copy[name] = part
  }
  return copy ?? value
}

function toRenderError(error: unknown, field: string): RenderError {
  const message = messageOf(error)
  if (error instanceof UndefinedVariableError) {
    const missing = /undefined variable: ([^,\s]+)/.exec(message)?.[1] ?? 'a variable'
    const whose = missing.startsWith('user.') ? 'the recipient' : 'the event'
    return new RenderError(
      'VARIABLE_MISSING',
      field,
      `${field} needs ${missing}, which ${whose} doesn't have.`,
      error,
    )
  }
  // the library has no class for it: "template render limit exceeded", "memory alloc limit exceeded"
  if (/limit exceeded/i.test(message)) {
    return new RenderError('LIMIT', field, `${field} takes too much time or memory to render.`, error)
  }
  return new RenderError('TEMPLATE', field, `${field}: ${message}`, error)
}

// what stands in one line: a line break in a subject or an address would begin a header or another address
const ONE_LINE = new Set(['title', 'subject', 'url', 'imageUrl'])

function clean(output: string, field: string, html: boolean): string {
  if (output.length > (html ? MAX_HTML : MAX_TEXT)) {
    throw new RenderError('LIMIT', field, `${field} is longer than ${html ? MAX_HTML : MAX_TEXT} characters.`)
  }
  const text = storable(output)
  return ONE_LINE.has(field.slice(field.lastIndexOf('.') + 1))
    ? text.replace(/\s*[\r\n]+\s*/g, ' ').trim()
    : text.trim()
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
