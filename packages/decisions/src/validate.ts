import { type Step, StepSchema, type WorkflowDefinition, WorkflowSchema } from '@carillon/contracts'
import { Compile } from 'typebox/compile'
import { CompileError, compileWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import { contentProblems, templateProblems, wordProblems } from './sense-problems.js'
import { shapeProblems, type WorkflowProblem } from './shape-problems.js'
import { stepProblems } from './step-problems.js'
import { channelStepOf, everyStep } from './steps.js'
import { timeProblems } from './time-problems.js'

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
  const step = Compile(StepSchema)
  return (input, options = {}) => {
    if (!shape.Check(input))
      return { ok: false, problems: shapeProblems(input, shape.Errors(input), (value) => step.Check(value)) }
    const definition = input as WorkflowDefinition
    const problems = [
      ...wordProblems(definition),
      ...timeProblems(definition),
      ...stepProblems(definition),
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
    ...(['if', 'exclude', 'collapse', 'cancelKey', 'to', 'content'] as const)
      .filter((part) => definition[part] !== undefined)
      .map((part) => ({ [part]: definition[part] })),
    ...Object.entries(definition.locales ?? {}).map(([locale, content]) => ({
      locales: { [locale]: content },
    })),
  ]
  const problems = parts.flatMap((part) => compileProblem(definition, part, templates))
  for (const { step, path } of everyStep(definition.steps)) {
    const bare = withoutInner(step)
    for (const problem of compileProblem(definition, { steps: [bare] }, templates))
      problems.push({ ...problem, path: problem.path.replace(/^steps\.0/, path) })
  }
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
          remedy: 'Mend the CEL expression; it sees `data` and `event`, in steps also `user` and `run`.',
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

/** Steps inside of a step are looked at on their own. */
function withoutInner(step: Step): Step {
  if (typeof step === 'string') return step
  // biome-ignore lint/suspicious/noThenProperty: the word of the workflow language
  if ('branch' in step) return { branch: { if: step.branch.if, then: [{ wait: '1s' }] } }
  if (!('experiment' in step)) return step
  return { experiment: { ...step.experiment, cohorts: [{ name: 'probe', share: 1 }] } }
}

function placeholders(definition: WorkflowDefinition): Record<string, Record<string, object>> {
  const names: Record<string, Record<string, object>> = {}
  for (const { step } of everyStep(definition.steps)) {
    const template = channelStepOf(step)?.options.template
    if (template !== undefined) names[template] = {}
  }
  return names
}
