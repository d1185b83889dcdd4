import { durationMs, type WorkflowDefinition, WorkflowSchema } from '@carillon/contracts'
import { Compile } from 'typebox/compile'
import { CompileError, compileWorkflow, stepOf } from './compile.js'
import { RenderError } from './errors.js'

/** Something that keeps a workflow from working, and what to do about it. */
export interface WorkflowProblem {
  /** Like `steps.2.email.template`. */
  path: string
  message: string
  remedy: string
}

export type Validated =
  | { ok: true; definition: WorkflowDefinition }
  | { ok: false; problems: WorkflowProblem[] }

const MAX_WAIT_MS = 365 * 86_400_000

/** Compiling the schema takes milliseconds, so a validator is made once and kept by who needs it. */
export type WorkflowValidator = (
  input: unknown,
  options?: { knownTemplates?: readonly string[] },
) => Validated

/**
 * Checks a workflow as it was written, whole: shape, expressions, texts, waits against `expires`, content. Every
 * problem is reported at once, with its place.
 */
export function createWorkflowValidator(): WorkflowValidator {
  const shape = Compile(WorkflowSchema)
  return (input, options = {}) => {
    if (!shape.Check(input)) return { ok: false, problems: shapeProblems(input, shape.Errors(input)) }
    const definition = input as WorkflowDefinition
    const problems = [
      ...timeProblems(definition),
      ...contentProblems(definition),
      ...templateProblems(definition, options),
    ]
    if (problems.length === 0) problems.push(...compileProblems(definition))
    return problems.length === 0 ? { ok: true, definition } : { ok: false, problems }
  }
}

/** `createWorkflowValidator` for a single use. */
export function validateWorkflow(
  input: unknown,
  options?: { knownTemplates?: readonly string[] },
): Validated {
  return createWorkflowValidator()(input, options)
}

const STEPS = 'inbox, push, email, webhook or {wait: 20s}'

function shapeProblems(
  input: unknown,
  errors: Iterable<{ instancePath: string; message: string; keyword: string; params?: unknown }>,
): WorkflowProblem[] {
  const problems = new Map<string, WorkflowProblem>()
  for (const error of errors) {
    const path = error.instancePath.replace(/^\//, '').replaceAll('/', '.')
    const step = /^steps\.(\d+)/.exec(path)
    // a union names every alternative that doesn't fit; one sentence says more
    if (step !== null) {
      const index = Number(step[1])
      const written = JSON.stringify((input as { steps?: unknown[] }).steps?.[index])?.slice(0, 120)
      problems.set(`steps.${index}`, {
        path: `steps.${index}`,
        message: `Step ${index + 1} is not one that Carillon knows: ${written}`,
        remedy: `Write ${STEPS}; options stand under the channel's name.`,
      })
      continue
    }
    const named =
      (error.params as { requiredProperties?: string[]; additionalProperties?: string[] } | undefined) ?? {}
    const missing = named.requiredProperties?.[0]
    const extra = named.additionalProperties?.[0]
    const at = [path, missing ?? extra].filter((part) => part !== undefined && part !== '').join('.')
    if (problems.has(at)) continue
    problems.set(at, {
      path: at === '' ? 'workflow' : at,
      message:
        missing !== undefined
          ? `"${missing}" is missing.`
          : extra !== undefined
            ? `"${extra}" is not known here.`
            : `It ${error.message}.`,
      remedy:
        missing !== undefined
          ? `Add "${missing}".`
          : extra !== undefined
            ? 'Remove it or mend its name.'
            : 'Mend the value.',
    })
  }
  return [...problems.values()]
}

function timeProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const expiresMs = definition.expires === undefined ? undefined : durationMs(definition.expires)
  let elapsedMs = 0
  definition.steps.forEach((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) {
      const waitMs = durationMs(step.wait) as number
      elapsedMs += waitMs
      if (waitMs > MAX_WAIT_MS) {
        problems.push({
          path: `steps.${index}.wait`,
          message: `${step.wait} is longer than 365d.`,
          remedy: 'Wait at most 365d.',
        })
      }
    } else if (expiresMs !== undefined && elapsedMs >= expiresMs) {
      problems.push({
        path: `steps.${index}`,
        message: `Step ${index + 1} would come after the notification has expired (${definition.expires}).`,
        remedy: 'Raise `expires` or shorten the waits before it.',
      })
    }
  })
  const last = definition.steps.at(-1)
  if (typeof last === 'object' && 'wait' in last) {
    problems.push({
      path: `steps.${definition.steps.length - 1}`,
      message: 'Nothing comes after the last wait.',
      remedy: 'Add a step after it or remove it.',
    })
  }
  return problems
}

function contentProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const shared = definition.content?.title !== undefined || definition.content?.body !== undefined
  definition.steps.forEach((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) return
    const [type, options] = stepOf(step)
    const own = options.content?.title ?? options.content?.body ?? options.content?.html ?? options.template
    if (type !== 'webhook' && !shared && own === undefined) {
      problems.push({
        path: `steps.${index}.${type}`,
        message: `${type} has nothing to say.`,
        remedy: 'Give the workflow `content` with a title or a body.',
      })
    }
    if (type === 'webhook' && options.url !== undefined && !/^https:\/\//.test(options.url)) {
      problems.push({
        path: `steps.${index}.webhook.url`,
        message: 'Only https addresses are called.',
        remedy: 'Write https://…',
      })
    }
    if (type === 'webhook' && options.url === undefined) {
      problems.push({
        path: `steps.${index}.webhook.url`,
        message: 'The webhook has no address.',
        remedy: 'Write {webhook: {url: https://…}}.',
      })
    }
  })
  return problems
}

function templateProblems(
  definition: WorkflowDefinition,
  options: { knownTemplates?: readonly string[] },
): WorkflowProblem[] {
  const known = options.knownTemplates
  if (known === undefined) return []
  return definition.steps.flatMap((step, index) => {
    if (typeof step !== 'string' && 'wait' in step) return []
    const [type, { template }] = stepOf(step)
    if (template === undefined || known.includes(template)) return []
    return [
      {
        path: `steps.${index}.${type}.template`,
        message: `There is no template "${template}".`,
        remedy: `Create it first${known.length === 0 ? '' : `, or use one of ${known.slice(0, 10).join(', ')}`}.`,
      },
    ]
  })
}

/** Expressions and texts, with templates taken as empty: what they hold is checked when they are stored. */
function compileProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const probe = (path: string, part: Partial<WorkflowDefinition>) => {
    try {
      compileWorkflow(
        { key: definition.key, on: 'probe', to: '""', steps: ['inbox'], ...part },
        { version: 1, templates: placeholders(definition) },
      )
    } catch (error) {
      if (error instanceof CompileError)
        problems.push({
          path: error.path,
          message: error.message,
          remedy: 'Mend the CEL expression; it sees `data` and `event`.',
        })
      else if (error instanceof RenderError)
        problems.push({
          path: error.field,
          message: error.message,
          remedy: 'Mend the Liquid text; it sees `data`, `user` and `event`.',
        })
      else
        problems.push({
          path,
          message: error instanceof Error ? error.message : String(error),
          remedy: 'Mend the value.',
        })
    }
  }
  for (const part of ['if', 'collapse', 'to', 'content', 'locales', 'steps'] as const) {
    if (definition[part] !== undefined) probe(part, { [part]: definition[part] })
  }
  return problems
}

function placeholders(definition: WorkflowDefinition): Record<string, Record<string, object>> {
  const names: Record<string, Record<string, object>> = {}
  for (const step of definition.steps) {
    if (typeof step !== 'string' && 'wait' in step) continue
    const { template } = stepOf(step)[1]
    if (template !== undefined) names[template] = {}
  }
  return names
}
