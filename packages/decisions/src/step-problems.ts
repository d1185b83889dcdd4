import { durationMs, type ExperimentOptions, type Step, type WorkflowDefinition } from '@carillon/contracts'
import type { WorkflowProblem } from './shape-problems.js'
import { everyStep } from './steps.js'

/** Most steps of a workflow, those in branches and cohorts counted. */
const MAX_STEPS = 200
const MAX_DEPTH = 5

/** Steps that the schema lets through and that can't do what they say. */
export function stepProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const steps = [...everyStep(definition.steps)]
  const problems = steps.flatMap(({ step, path }) => problemsOf(step, path, definition))
  if (steps.length > MAX_STEPS) {
    problems.push({
      path: 'steps',
      message: `It has ${steps.length} steps; at most ${MAX_STEPS} are allowed.`,
      remedy: 'Split it into workflows with conditions of their own.',
    })
  }
  const deepest = steps.find(({ path }) => path.split(/branch|experiment/).length - 1 > MAX_DEPTH)
  if (deepest !== undefined) {
    problems.push({
      path: deepest.path,
      message: `Steps stand more than ${MAX_DEPTH} deep in one another.`,
      remedy: 'Write flatter conditions, or split the workflow.',
    })
  }
  return problems
}

function problemsOf(step: Step, path: string, definition: WorkflowDefinition): WorkflowProblem[] {
  if (typeof step === 'string') return []
  if ('experiment' in step) return experimentProblems(step.experiment, `${path}.experiment`)
  if ('cancel' in step && step.cancel.workflow === definition.key) {
    return [
      {
        path: `${path}.cancel.workflow`,
        message: 'The workflow would cancel itself.',
        remedy: 'Name another workflow; a run ends itself with a branch.',
      },
    ]
  }
  if ('wait' in step && typeof step.wait === 'object' && 'event' in step.wait) {
    const { event, key } = step.wait
    if (event.includes('*')) {
      return [
        {
          path: `${path}.wait.event`,
          message: 'One type is waited for.',
          remedy: 'Write it without an asterisk.',
        },
      ]
    }
    const types = Array.isArray(definition.on) ? definition.on : [definition.on]
    if (key === undefined && types.includes(event)) {
      return [
        {
          path: `${path}.wait.key`,
          message: 'It waits for the event that begins it, and without a key any other one would do.',
          remedy: 'Add a key, like data.rideId.',
        },
      ]
    }
  }
  if ('digest' in step && 'sliding' in step.digest) {
    const { sliding, atMost } = step.digest
    if ((durationMs(atMost) as number) < (durationMs(sliding) as number)) {
      return [
        {
          path: `${path}.digest.atMost`,
          message: `It would close after ${atMost}, before ${sliding} have passed.`,
          remedy: 'Make atMost longer than sliding, or use {window: …}.',
        },
      ]
    }
  }
  return []
}

function experimentProblems({ cohorts }: ExperimentOptions, path: string): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  const total = cohorts.reduce((sum, { share }) => sum + share, 0)
  if (total > 100) {
    problems.push({
      path: `${path}.cohorts`,
      message: `The shares add up to ${total} per cent.`,
      remedy: 'Make them at most 100; who is left is in no cohort.',
    })
  }
  if (new Set(cohorts.map(({ name }) => name)).size < cohorts.length)
    problems.push({
      path: `${path}.cohorts`,
      message: 'Two cohorts share a name.',
      remedy: 'Name them apart.',
    })
  return problems
}
