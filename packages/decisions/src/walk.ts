import { conditionProblem, plainValue } from './cel.js'
import { placeIn } from './cohorts.js'
import type { CompiledWorkflow } from './compile.js'
import { RenderError } from './errors.js'
import { judgeStep, type Refusal, runRefusal, type StepInput, seenRefusal } from './judge-step.js'
import { neededKey } from './keys.js'
import type { HeldStep, PlanInput, StepOutcome } from './plan.js'
import { celScope } from './scope.js'
import type {
  BranchStep,
  CompiledStep,
  DigestStep,
  ExperimentStep,
  StepType,
  ThrottleStep,
  WaitStep,
} from './steps.js'

/** How far a pass went, and what it leaves behind. */
export interface Walk {
  steps: StepOutcome[]
  held: HeldStep[]
  throttles: { step: number; key: string }[]
  cancels: { workflow: string; key: string }[]
  /** The step after the wait that it came to, and when it is due. */
  next?: number
  resumeAt?: number
  awaits?: { type: string; expression: string; key: string }
  digest?: { step: number; key: string }
}

/** Longest wait ahead. */
const MAX_WAIT_MS = 365 * 86_400_000
/** Furthest moment from 1970 that a date can hold. */
const MAX_MOMENT_MS = 8.64e15
/** With its offset: without one it would be read on the machine's own clock. */
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i

/** Goes through the steps from `from` on until the run ends, waits or goes into a digest. @throws RenderError */
export function walk(went: Walk, from: number, input: PlanInput, judged: StepInput): void {
  const { workflow, facts } = judged
  for (let index = from; index < workflow.steps.length; ) {
    const step = workflow.steps[index] as CompiledStep
    if (step.type === 'jump') {
      index = step.to
      continue
    }
    if (isChannel(step)) {
      const outcome = judgeStep(step, index, judged)
      went.steps.push(outcome)
      if (outcome.outcome === 'hold') went.held.push({ step: index, at: outcome.at as number })
      index++
      continue
    }
    const ended = runRefusal(judged) ?? seenRefusal(workflow, facts)
    if (ended !== undefined) {
      skipFrom(went.steps, workflow, index, ended)
      return
    }
    if (step.type === 'wait') {
      if (beginWait(went, step, index, input, judged)) return
      index++
    } else if (step.type === 'digest') {
      joinDigest(went, step, index, judged)
      return
    } else if (step.type === 'throttle') {
      if (throttled(went, step, index, judged)) return
      index++
    } else if (step.type === 'cancel') {
      const key = neededKey(step.key, judged.cel, `${step.path}.cancel.key`)
      went.cancels.push({ workflow: step.workflow, key })
      pass(went, step.type, index, `cancels "${step.workflow}" with the key "${key}"`)
      index++
    } else
      index =
        step.type === 'branch' ? branch(went, step, index, judged) : experiment(went, step, index, judged)
  }
}

/** A run that can't say anything any more doesn't wait; what would have come has the same reason. */
export function skipFrom(
  steps: StepOutcome[],
  { steps: all }: CompiledWorkflow,
  from: number,
  { reason, detail }: Refusal,
): void {
  for (let index = from; index < all.length; index++) {
    const { type } = all[index] as CompiledStep
    if (type !== 'jump') steps.push({ step: index, type, outcome: 'skip', reason, detail })
  }
}

function isChannel(step: CompiledStep): step is Extract<CompiledStep, { texts: unknown }> {
  return 'texts' in step
}

function pass(went: Walk, type: StepType, step: number, detail: string): void {
  went.steps.push({ step, type, outcome: 'pass', detail })
}

/** False when what it waits for has been already. */
function beginWait(
  went: Walk,
  step: WaitStep,
  index: number,
  { event, begunAt, now }: PlanInput,
  judged: StepInput,
): boolean {
  const at = endOfWait(step, judged)
  const { wait } = step
  const { facts } = judged
  if (wait.kind === 'until' && at <= now) {
    pass(went, 'wait', index, `${new Date(at).toISOString()} has been already`)
    return false
  }
  if (wait.kind === 'seen' && facts.seenAt !== null) {
    pass(went, 'wait', index, `it was seen at ${new Date(facts.seenAt).toISOString()}`)
    return false
  }
  if (wait.kind === 'event') {
    const key = neededKey(wait.key, celScope(event), `${step.path}.wait.key`)
    const { awaited } = facts
    if (awaited?.type === wait.event && awaited.key === key && awaited.at >= (begunAt ?? now)) {
      pass(went, 'wait', index, `${wait.event} came at ${new Date(awaited.at).toISOString()}`)
      return false
    }
    went.awaits = { type: wait.event, expression: wait.expression, key }
  }
  went.steps.push({ step: index, type: 'wait', outcome: 'wait', detail: `waits ${step.text}`, at })
  went.next = index + 1
  went.resumeAt = at
  return true
}

function endOfWait({ wait, path }: WaitStep, { now, facts, cel, calendar }: StepInput): number {
  if (wait.kind === 'at') return calendar.next(wait.time, facts.user.timezone ?? facts.tenantTimezone, now)
  if (wait.kind !== 'until') return now + wait.ms
  const result = wait.moment(cel)
  const at = result.ok ? momentOf(result.value) : Number.NaN
  if (Number.isNaN(at) || at > now + MAX_WAIT_MS) {
    const why = Number.isNaN(at) ? 'gives no moment' : 'is more than 365d ahead'
    throw new RenderError(
      'VARIABLE_MISSING',
      `${path}.wait.until`,
      `${path}.wait.until ${result.ok ? why : `could not be judged: ${result.problem}`}`,
    )
  }
  return at
}

/** A timestamp of CEL, RFC 3339 text, or milliseconds. */
function momentOf(given: unknown): number {
  const value = plainValue(given)
  if (value instanceof Date) return value.getTime()
  if (typeof value === 'number') return Math.abs(value) <= MAX_MOMENT_MS ? Math.floor(value) : Number.NaN
  return typeof value === 'string' && RFC_3339.test(value) ? Date.parse(value) : Number.NaN
}

function joinDigest(went: Walk, step: DigestStep, index: number, { cel }: StepInput): void {
  const key = neededKey(step.key, cel, `${step.path}.digest.key`)
  went.digest = { step: index, key }
  const detail = key === '' ? 'goes into the digest' : `goes into the digest of "${key}"`
  went.steps.push({ step: index, type: 'digest', outcome: 'digest', reason: 'DIGESTED', detail })
}

/** True when the throttle is used up: the run ends here. */
function throttled(
  went: Walk,
  step: ThrottleStep,
  index: number,
  { workflow, facts, cel }: StepInput,
): boolean {
  const limit = `${step.count} per ${step.per}`
  if (facts.used?.throttles.has(index) === true) {
    skipFrom(went.steps, workflow, index, { reason: 'THROTTLED', detail: `the limit of ${limit} is used up` })
    return true
  }
  went.throttles.push({ step: index, key: neededKey(step.key, cel, `${step.path}.throttle.key`) })
  pass(went, 'throttle', index, `within ${limit}`)
  return false
}

function branch(went: Walk, step: BranchStep, index: number, { cel }: StepInput): number {
  const problem = conditionProblem(step.condition(cel))
  pass(went, 'branch', index, `${step.text} ${problem ?? 'is true'}`)
  return problem === undefined ? index + 1 : step.otherwise
}

function experiment(went: Walk, step: ExperimentStep, index: number, { facts }: StepInput): number {
  const place = placeIn(step.key, facts.user.id)
  const cohort = step.cohorts.find(({ upTo }) => place < upTo)
  pass(went, 'experiment', index, cohort === undefined ? 'in no cohort' : `in the cohort "${cohort.name}"`)
  return cohort?.at ?? step.otherwise
}
