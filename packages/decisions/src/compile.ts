import { type Audience, durationMs, type Lane, type WorkflowDefinition } from '@carillon/contracts'
import { type CelNames, createCelCompiler, type Expression } from './cel.js'
import { compileSteps } from './compile-steps.js'
import { compileContent, type LocalisedTexts, type WrittenContent } from './content.js'
import type { Group } from './recipients.js'
import { compileOptions } from './said-options.js'
import type { CompiledStep } from './steps.js'
import type { Templates } from './templates.js'
import { createTextCompiler } from './texts.js'

/** One published version of a workflow, ready to judge events. Immutable: keep it for as long as the version lives. */
export interface CompiledWorkflow {
  key: string
  version: number
  definition: WorkflowDefinition
  types: readonly string[]
  lane: Lane | undefined
  category: string | undefined
  expiresMs: number | undefined
  condition: Expression | undefined
  /** Gives users and groups; undefined when the workflow names a group itself. */
  to: Expression | undefined
  audience: Group | undefined
  exclude: Expression | undefined
  collapse: Expression | undefined
  cancelKey: Expression | undefined
  texts: LocalisedTexts
  /** Flat; positions are what rows hold. */
  steps: readonly CompiledStep[]
  /** True when some step waits until it was seen, or being seen ends the run. */
  listensToSeen: boolean
  /** True when some step is not for those who are looking at the app. */
  asksOnline: boolean
}

/** A definition that can't be compiled: `path` is where, in the workflow's own words. */
export class CompileError extends Error {
  override readonly name = 'CompileError'
  readonly code = 'WORKFLOW_INVALID'
  readonly path: string

  constructor(path: string, message: string) {
    super(message)
    this.path = path
  }
}

/**
 * Compiles a definition that `validateWorkflow` accepted: expressions and texts are parsed once, here.
 * @throws CompileError for an expression that can't be parsed or a template that isn't there
 * @param options.templates kinds left out are not known: a text that renders a partial then compiles, and fails when it
 * is rendered
 * @throws RenderError for a text with wrong syntax, or one that needs a partial, layout or message that isn't there
 */
export function compileWorkflow(
  definition: WorkflowDefinition,
  options: { version: number; templates?: Partial<Templates> },
): CompiledWorkflow {
  const cel = createCelCompiler()
  const { contents = {}, partials, layouts } = options.templates ?? {}
  const texts = createTextCompiler({ partials, layouts })
  const shared = { content: definition.content, locales: definition.locales }
  const expression = (source: string, path: string, names: CelNames): Expression => {
    const compiled = cel.compile(source, names)
    if (!compiled.ok) throw new CompileError(path, compiled.problem)
    return compiled.expression
  }
  const optional = (field: 'if' | 'exclude' | 'collapse' | 'cancelKey'): Expression | undefined => {
    const source = definition[field]
    return source === undefined ? undefined : expression(source, field, 'event')
  }
  const steps = compileSteps(definition, {
    expression,
    says: (own, path) =>
      compileOptions(own, path, { texts, expression: (source, at) => expression(source, at, 'run') }),
    texts({ type, options: own, path }) {
      if (own.content === undefined && own.template === undefined) return undefined
      const layers: WrittenContent[] = [shared]
      if (own.template !== undefined) {
        const template = Object.hasOwn(contents, own.template) ? contents[own.template] : undefined
        if (template === undefined) {
          throw new CompileError(`${path}.template`, `There is no template "${own.template}".`)
        }
        const { default: content, ...locales } = template
        layers.push({ content, locales })
      }
      const at = own.content === undefined ? path : `${path}.content`
      return compileContent(texts, [...layers, { content: own.content }], { at, channel: type })
    },
  })
  return {
    key: definition.key,
    version: options.version,
    definition,
    types: Array.isArray(definition.on) ? definition.on : [definition.on],
    lane: definition.lane,
    category: definition.category,
    expiresMs: definition.expires === undefined ? undefined : durationMs(definition.expires),
    condition: optional('if'),
    to: typeof definition.to === 'string' ? expression(definition.to, 'to', 'event') : undefined,
    audience:
      typeof definition.to === 'string'
        ? undefined
        : groupOf(definition.to, (source) => expression(source, 'to.segment', 'person')),
    exclude: optional('exclude'),
    collapse: optional('collapse'),
    cancelKey: optional('cancelKey'),
    texts: compileContent(texts, [shared], { at: 'content' }),
    steps,
    listensToSeen:
      definition.stop === 'seen' || steps.some((step) => step.type === 'wait' && step.wait.kind === 'seen'),
    asksOnline: steps.some((step) => 'options' in step && step.options.unlessOnline === true),
  }
}

function groupOf(audience: Audience, compile: (source: string) => Expression): Group {
  if ('role' in audience) return { kind: 'role', role: audience.role }
  if ('topic' in audience) return { kind: 'topic', topic: audience.topic }
  if ('segment' in audience)
    return { kind: 'segment', segment: audience.segment, holds: compile(audience.segment) }
  return { kind: 'everyone' }
}
