import type { Step, WorkflowDefinition } from '@carillon/contracts'
import { type CompiledWorkflow, CompileError, compileWorkflow } from './compile.js'
import { RenderError } from './errors.js'

/**
 * Compiles what a version decides, without its texts: templates may have changed or gone since, and nobody is told
 * anything. Undefined for a definition that no longer compiles.
 */
export function compileRules(definition: WorkflowDefinition, version: number): CompiledWorkflow | undefined {
  const { content: _content, locales: _locales, ...rules } = definition
  const bare = { ...rules, content: { title: definition.key }, steps: definition.steps.map(withoutTexts) }
  try {
    return compileWorkflow(bare, { version })
  } catch (error) {
    if (error instanceof CompileError || error instanceof RenderError) return undefined
    throw error
  }
}

/** What people call the steps of a version, by flat position, like `step 1 in the branch of step 3`. */
export function stepNames(workflow: CompiledWorkflow): ReadonlyMap<number, string> {
  return new Map(
    workflow.steps.map(({ path }, position) => [position, nameOf(path, workflow.definition.steps)]),
  )
}

function nameOf(path: string, steps: readonly Step[]): string {
  const [, place = '0', ...rest] = path.split('.')
  let name = `step ${Number(place) + 1}`
  let step = steps[Number(place)]
  for (let at = 0; at < rest.length; ) {
    if (step === undefined || typeof step === 'string') return name
    if (rest[at] === 'branch' && 'branch' in step) {
      const otherwise = rest[at + 1] === 'else'
      const index = Number(rest[at + 2])
      name = `step ${index + 1} ${otherwise ? 'in the other way' : 'in the branch'} of ${name}`
      step = (otherwise ? step.branch.else : step.branch.then)?.[index]
      at += 3
    } else if (rest[at] === 'experiment' && 'experiment' in step) {
      const cohort = step.experiment.cohorts[Number(rest[at + 2])]
      const index = Number(rest[at + 4])
      name = `step ${index + 1} in the cohort "${cohort?.name ?? ''}" of ${name}`
      step = cohort?.steps?.[index]
      at += 5
    } else return name
  }
  return name
}

function withoutTexts(step: Step): Step {
  if (typeof step === 'string') return step
  if ('branch' in step) {
    const { branch } = step
    const otherwise = branch.else === undefined ? {} : { else: branch.else.map(withoutTexts) }
    return { branch: { ...branch, then: branch.then.map(withoutTexts), ...otherwise } }
  }
  if ('experiment' in step) {
    const cohorts = step.experiment.cohorts.map((cohort) =>
      cohort.steps === undefined ? cohort : { ...cohort, steps: cohort.steps.map(withoutTexts) },
    )
    return { experiment: { ...step.experiment, cohorts } }
  }
  const [[type, options] = ['', undefined]] = Object.entries(step)
  if (typeof options !== 'object' || options === null) return step
  const rest = Object.entries(options).filter(([name]) => !SAID.has(name))
  return { [type]: Object.fromEntries(rest) } as unknown as Step
}

/** Options that hold texts. */
const SAID = new Set([
  ...['content', 'template', 'sound', 'channelId', 'threadId', 'analyticsLabel', 'replyTo'],
  ...['liveActivity', 'overrides'],
])
