import {
  type Channel,
  type Content,
  durationMs,
  type Lane,
  type Step,
  type WorkflowDefinition,
} from '@carillon/contracts'
import { createCelCompiler, type Expression } from './cel.js'
import { compileContent, type LocalisedTexts } from './content.js'
import { createTextCompiler } from './texts.js'

/** Options of a channel step, as a workflow writes them. */
export interface StepOptions {
  if?: string
  template?: string
  content?: Content
  app?: string
  url?: string
  maxAttempts?: number
}

export interface WaitStep {
  type: 'wait'
  waitMs: number
  /** As it is written, like `20s`. */
  wait: string
}

export interface ChannelStep {
  type: Exclude<Channel, 'sms'>
  options: StepOptions
  condition: Expression | undefined
  /** The step's own texts; undefined when it shows the workflow's. */
  texts: LocalisedTexts | undefined
}

export type CompiledStep = WaitStep | ChannelStep

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
  to: Expression | undefined
  collapse: Expression | undefined
  texts: LocalisedTexts
  steps: readonly CompiledStep[]
}

/** Content documents that steps name, by key: locale → content. */
export type Templates = Readonly<Record<string, Readonly<Record<string, Content>>>>

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
 * @throws RenderError for a text with wrong syntax
 */
export function compileWorkflow(
  definition: WorkflowDefinition,
  options: { version: number; templates?: Templates },
): CompiledWorkflow {
  const cel = createCelCompiler()
  const texts = createTextCompiler()
  const expression = (source: string | undefined, path: string): Expression | undefined => {
    if (source === undefined) return undefined
    const compiled = cel.compile(source)
    if (!compiled.ok) throw new CompileError(path, compiled.problem)
    return compiled.expression
  }
  const compileStep = (step: Step, index: number): CompiledStep => {
    if (typeof step !== 'string' && 'wait' in step) {
      return { type: 'wait', waitMs: durationMs(step.wait) as number, wait: step.wait }
    }
    const [type, own] = stepOf(step)
    const at = `steps.${index}.${type}`
    const template = own.template === undefined ? undefined : options.templates?.[own.template]
    if (own.template !== undefined && template === undefined) {
      throw new CompileError(`${at}.template`, `There is no template "${own.template}".`)
    }
    return {
      type,
      options: own,
      condition: expression(own.if, `${at}.if`),
      texts:
        own.content === undefined && template === undefined
          ? undefined
          : compileContent(
              texts,
              { ...definition.content, ...template?.default, ...own.content },
              mergeLocales(definition.locales, template),
              at,
            ),
    }
  }
  return {
    key: definition.key,
    version: options.version,
    definition,
    types: Array.isArray(definition.on) ? definition.on : [definition.on],
    lane: definition.lane,
    category: definition.category,
    expiresMs: definition.expires === undefined ? undefined : durationMs(definition.expires),
    condition: expression(definition.if, 'if'),
    to: typeof definition.to === 'string' ? expression(definition.to, 'to') : undefined,
    collapse: expression(definition.collapse, 'collapse'),
    texts: compileContent(texts, definition.content, definition.locales, 'content'),
    steps: definition.steps.map(compileStep),
  }
}

/** A bare channel name and an object with one key say the same. */
export function stepOf(step: Exclude<Step, { wait: string }>): [Exclude<Channel, 'sms'>, StepOptions] {
  if (typeof step === 'string') return [step, {}]
  const [type, options] = Object.entries(step)[0] as [Exclude<Channel, 'sms'>, StepOptions]
  return [type, options]
}

function mergeLocales(
  workflow: Readonly<Record<string, Content>> | undefined,
  template: Readonly<Record<string, Content>> | undefined,
): Record<string, Content> {
  const merged: Record<string, Content> = { ...workflow }
  for (const [locale, content] of Object.entries(template ?? {})) {
    if (locale !== 'default') merged[locale] = { ...merged[locale], ...content }
  }
  return merged
}
