import { type WorkflowDefinition, WorkflowSchema } from '@carillon/contracts'
import { Compile } from 'typebox/compile'
import { CompileError, compileWorkflow, stepOf } from './compile.js'
import { RenderError } from './errors.js'
import { contentProblems, templateProblems, timeProblems, wordProblems } from './sense-problems.js'
import { shapeProblems, type WorkflowProblem } from './shape-problems.js'

export type { WorkflowProblem } from './shape-problems.js'

export type Validated =
  | { ok: true; definition: WorkflowDefinition }
  | { ok: false; problems: WorkflowProblem[] }

/** Compiling the schema takes milliseconds, so a validator is made once and kept by who needs it. */
export type WorkflowValidator = (
  input: unknown,
  options?: { knownTemplates?: readonly string[] },
) => Validated

/**
 * Checks a workflow as it was written, whole: shape, expressions, texts, waits against `expires`, content. Every
 * problem is reported at once, with its place. Never throws.
 */
export function createWorkflowValidator(): WorkflowValidator {
  const shape = Compile(WorkflowSchema)
  return (input, options = {}) => {
    if (!shape.Check(input)) return { ok: false, problems: shapeProblems(input, shape.Errors(input)) }
    const definition = input as WorkflowDefinition
    const problems = [
      ...wordProblems(definition),
      ...timeProblems(definition),
      ...contentProblems(definition),
      ...templateProblems(definition, options.knownTemplates),
      ...compileProblems(definition),
    ]
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

/**
 * Expressions and texts, each part on its own so that one mistake doesn't hide another. Templates are taken as empty:
 * what they hold is checked when they are stored.
 */
function compileProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const templates = placeholders(definition)
  const parts: Partial<WorkflowDefinition>[] = [
    ...(['if', 'collapse', 'to', 'content'] as const)
      .filter((part) => definition[part] !== undefined)
      .map((part) => ({ [part]: definition[part] })),
    ...Object.entries(definition.locales ?? {}).map(([locale, content]) => ({
      locales: { [locale]: content },
    })),
  ]
  const problems = parts.flatMap((part) => compileProblem(definition, part, templates))
  definition.steps.forEach((step, index) => {
    // earlier steps stand in as waits, so that the place in the message is right
    const steps = [...definition.steps.slice(0, index).map(() => ({ wait: '1s' })), step]
    problems.push(...compileProblem(definition, { steps }, templates))
  })
  return problems
}

function compileProblem(
  { key }: WorkflowDefinition,
  part: Partial<WorkflowDefinition>,
  templates: Record<string, Record<string, object>>,
): WorkflowProblem[] {
  try {
    compileWorkflow({ key, on: 'probe', to: '""', steps: ['inbox'], ...part }, { version: 1, templates })
    return []
  } catch (error) {
    if (error instanceof CompileError) {
      return [
        {
          path: error.path,
          message: error.message,
          remedy: 'Mend the CEL expression; it sees `data` and `event`.',
        },
      ]
    }
    if (error instanceof RenderError) {
      return [
        {
          path: error.field,
          message: error.message,
          remedy: 'Mend the Liquid text; it sees `data`, `user` and `event`.',
        },
      ]
    }
    throw error
  }
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
