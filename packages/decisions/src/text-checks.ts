import { type Liquid, type Template, TypeGuards, Value } from 'liquidjs'
import { RenderError } from './errors.js'
import { compileMessage, type IcuMessage } from './icu-messages.js'
import type { Messages } from './messages.js'
import { RenderPartial } from './render-tag.js'
import { ROOTS } from './text-scope.js'

/** What is known of a parsed text before anybody reads it. */
export interface Inspected {
  /** ICU messages that stand in the text, by their source. */
  inline: ReadonlyMap<string, IcuMessage>
  /** The partials it renders, with the arguments that each gets. */
  partials: readonly { name: string; given: ReadonlySet<string> }[]
}

export interface Inspection {
  source: string
  field: string
  /** Where it is, in words; the field itself unless the text is a partial's or a layout's. */
  place: string
  messages: Messages
  /** The locale that the text is written in; undefined: the tenant's. */
  locale: string | undefined
}

/**
 * Finds partials and messages, and checks what can be checked: messages that can't be parsed, that aren't there or whose
 * arguments are not given.
 * @throws RenderError
 */
export function inspect(templates: readonly Template[], inspection: Inspection): Inspected {
  if (!INSPECTED.test(inspection.source)) return { inline: NO_MESSAGES, partials: [] }
  const inline = new Map<string, IcuMessage>()
  const partials: { name: string; given: ReadonlySet<string> }[] = []
  for (const node of nodesOf(templates, new Set())) {
    if (node instanceof RenderPartial) partials.push({ name: node.partial, given: node.given })
    else inspectFilters(node, inline, inspection)
  }
  return { inline, partials }
}

/** Going through a parsed text costs more than parsing it, and most texts have nothing to be found. */
const INSPECTED = /\brender\b|\|\s*(?:icu|t)\b/
const NO_MESSAGES: ReadonlyMap<string, IcuMessage> = new Map()

/** Names that no event can bring are known to be missing when the text is saved. */
export function assertNamesKnown(
  engine: Liquid,
  templates: Template[],
  options: { field: string; mail: boolean; layout: boolean },
): void {
  const { field } = options
  const missing = (message: string) => new RenderError('VARIABLE_MISSING', field, `${field} names ${message}`)
  for (const [root, name] of engine.globalVariableSegmentsSync(templates)) {
    if (typeof root !== 'string' || (root === 'content' && options.layout)) continue
    if (!Object.hasOwn(ROOTS, root)) {
      throw missing(
        `"${root}"; texts see data, user, event and digest, so write data.${root} if the event brings it.`,
      )
    }
    if (root === 'unsubscribe' && !options.mail) {
      throw missing('unsubscribe; only html and the texts of an email step see it.')
    }
    const names = ROOTS[root]
    if (names !== undefined && typeof name === 'string' && !names.includes(name)) {
      throw missing(`${root}.${name}; ${root} has ${names.join(', ')}.`)
    }
  }
}

function inspectFilters(value: Value, inline: Map<string, IcuMessage>, inspection: Inspection): void {
  value.filters.forEach(({ name, args }, index) => {
    if (name !== 'icu' && name !== 't') return
    const refuse = (code: 'TEMPLATE' | 'VARIABLE_MISSING', why: string, cause?: unknown) =>
      new RenderError(code, inspection.field, `${inspection.place}: ${why}`, cause)
    const given = new Set<string>()
    for (const argument of args) {
      if (!Array.isArray(argument))
        throw refuse('TEMPLATE', `${name} takes named arguments, like count: data.count.`)
      given.add(String(argument[0]))
    }
    const literal = index === 0 ? literalOf(value) : undefined
    if (name === 't') {
      if (literal === undefined) return
      if (!inspection.messages.isSureIn(inspection.locale, literal)) {
        throw refuse(
          'TEMPLATE',
          `there is no message "${literal}" for everybody who reads this; write it under messages.`,
        )
      }
      for (const message of inspection.messages.wordings(literal)) {
        assertGiven(message, given, (names) =>
          refuse('VARIABLE_MISSING', `the message "${literal}" needs ${names}, which it isn't given.`),
        )
      }
      return
    }
    if (literal === undefined)
      throw refuse('TEMPLATE', 'icu needs its message in quotes; data is never a message.')
    let message: IcuMessage
    try {
      message = compileMessage(literal)
    } catch (error) {
      throw refuse(
        'TEMPLATE',
        `no ICU message: ${error instanceof Error ? error.message : String(error)}`,
        error,
      )
    }
    assertGiven(message, given, (names) =>
      refuse('VARIABLE_MISSING', `the message needs ${names}, which it isn't given.`),
    )
    inline.set(literal, message)
  })
}

function assertGiven(
  message: IcuMessage,
  given: ReadonlySet<string>,
  missing: (names: string) => RenderError,
): void {
  const names = [...message.names].filter((name) => !given.has(name))
  if (names.length > 0) throw missing(names.join(', '))
}

function literalOf({ initial }: Value): string | undefined {
  const [token, ...rest] = initial.postfix
  return token !== undefined && rest.length === 0 && TypeGuards.isQuotedToken(token)
    ? token.content
    : undefined
}

/** What leads to the engine or to source text, not to further parts of a template. */
const NOT_PARTS = new Set(['liquid', 'token', 'tokenizer', 'input'])

/** Values and partials wherever they stand in tags: each tag keeps its parts in fields of its own. */
function* nodesOf(part: unknown, seen: Set<object>): Generator<Value | RenderPartial> {
  if (typeof part !== 'object' || part === null || seen.has(part)) return
  seen.add(part)
  if (part instanceof Value || part instanceof RenderPartial) yield part
  for (const [name, inner] of Object.entries(part)) if (!NOT_PARTS.has(name)) yield* nodesOf(inner, seen)
}
