import {
  type Content,
  type Step,
  StepSchema,
  type WorkflowDefinition,
  WorkflowSchema,
} from '@carillon/contracts'
import { Compile } from 'typebox/compile'
import { CompileError, compileWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import { optionProblems } from './option-problems.js'
import { contentProblems, templateProblems, wordProblems } from './sense-problems.js'
import { shapeProblems, type WorkflowProblem } from './shape-problems.js'
import { stepProblems } from './step-problems.js'
import { channelStepOf, everyStep } from './steps.js'
import type { Templates } from './templates.js'
import { timeProblems } from './time-problems.js'

export type { WorkflowProblem } from './shape-problems.js'

export type Validated =
  | { ok: true; definition: WorkflowDefinition }
  | { ok: false; problems: WorkflowProblem[] }

/** Compiling the schema takes milliseconds, so a validator is made once and kept by who needs it. */
export type WorkflowValidator = (input: unknown, options?: { templates?: Templates }) => Validated

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
      ...optionProblems(definition),
      ...contentProblems(definition),
      ...templateProblems(definition, options.templates),
      ...compileProblems(definition, options.templates),
    ]
    return problems.length === 0 ? { ok: true, definition } : { ok: false, problems }
  }
}

/** `createWorkflowValidator` for a single use. */
export function validateWorkflow(input: unknown, options?: { templates?: Templates }): Validated {
  return createWorkflowValidator()(input, options)
}

/**
 * Expressions and texts, each part on its own so that one mistake doesn't hide another. Each sees all messages.
 * @param templates undefined: not known; what they hold is checked when they are stored
 */
function compileProblems(
  definition: WorkflowDefinition,
  templates: Templates | undefined,
): WorkflowProblem[] {
  const known = { ...templates, contents: { ...placeholders(definition), ...templates?.contents } }
  const { content, locales = {} } = definition
  const messages = {
    content: messagesOf(content),
    locales: Object.fromEntries(Object.entries(locales).map(([locale, own]) => [locale, messagesOf(own)])),
  }
  const parts: Partial<WorkflowDefinition>[] = [
    ...(['if', 'exclude', 'collapse', 'cancelKey', 'to'] as const)
      .filter((part) => definition[part] !== undefined)
      .map((part) => ({ [part]: definition[part] })),
    { ...messages, ...(content === undefined ? {} : { content }) },
    ...Object.entries(locales).map(([locale, own]) => ({
      content: messages.content,
      locales: { ...messages.locales, [locale]: own },
    })),
  ]
  const problems = parts.flatMap((part) => compileProblem(definition, part, known))
  for (const { step, path } of everyStep(definition.steps)) {
    const bare = withoutInner(step)
    for (const { path: at, message, remedy } of compileProblem(
      definition,
      { ...messages, steps: [bare] },
      known,
    ))
      problems.push({
        path: at.replace(/^steps\.0/, path),
        message: message.replace(/^steps\.0/, path),
        remedy,
      })
  }
  if (problems.length === 0) problems.push(...compileProblem(definition, definition, known))
  return [...new Map(problems.map((problem) => [`${problem.path} ${problem.message}`, problem])).values()]
}

function messagesOf({ messages }: Content = {}): Content {
  return messages === undefined ? {} : { messages }
}

function compileProblem(
  { key }: WorkflowDefinition,
  part: Partial<WorkflowDefinition>,
  templates: Partial<Templates>,
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
          remedy: 'Mend the Liquid text; it sees `data`, `user`, `event` and `digest`.',
        },
      ]
    }
    throw error
  }
}

/** Steps inside of a step are looked at on their own. */
function withoutInner(step: Step): Step {
  if (typeof step === 'string') return step
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
