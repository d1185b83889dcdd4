import {
  type ChannelOptions,
  durationMs,
  type Step,
  type WaitOptions,
  type WorkflowDefinition,
} from '@carillon/contracts'
import type { WorkflowProblem } from './shape-problems.js'
import { channelStepOf, everyStep } from './steps.js'

/** Longest wait, expiry and window. */
const MAX_DURATION = '365d'
const MAX_DURATION_MS = 365 * 86_400_000

/** Durations over the limit, steps that come after the notification has expired, and waits with nothing behind them. */
export function timeProblems(definition: WorkflowDefinition): WorkflowProblem[] {
  const problems: WorkflowProblem[] = []
  for (const { path, duration } of durationsOf(definition)) {
    if ((durationMs(duration) ?? 0) > MAX_DURATION_MS) {
      problems.push({
        path,
        message: `${duration} is longer than ${MAX_DURATION}.`,
        remedy: `Use at most ${MAX_DURATION}.`,
      })
    }
  }
  expiredSteps(definition, problems)
  trailingWaits(definition.steps, 'steps', problems)
  return problems
}

function* durationsOf(definition: WorkflowDefinition): Generator<{ path: string; duration: string }> {
  if (definition.expires !== undefined) yield { path: 'expires', duration: definition.expires }
  if (definition.cap !== undefined) yield { path: 'cap.per', duration: definition.cap.per }
  for (const { step, path } of everyStep(definition.steps)) {
    if (typeof step === 'string') continue
    if ('wait' in step) {
      const { wait } = step
      if (typeof wait === 'string') yield { path: `${path}.wait`, duration: wait }
      else if ('for' in wait) yield { path: `${path}.wait.for`, duration: wait.for }
    } else if ('throttle' in step) yield { path: `${path}.throttle.per`, duration: step.throttle.per }
    else if ('digest' in step) {
      const { digest } = step
      if ('window' in digest) yield { path: `${path}.digest.window`, duration: digest.window }
      if ('sliding' in digest) {
        yield { path: `${path}.digest.sliding`, duration: digest.sliding }
        yield { path: `${path}.digest.atMost`, duration: digest.atMost }
      }
    } else if ('push' in step) yield* durationsOfPush(step.push, `${path}.push`)
  }
}

function* durationsOfPush(
  { ttl, liveActivity }: ChannelOptions,
  path: string,
): Generator<{ path: string; duration: string }> {
  if (ttl !== undefined) yield { path: `${path}.ttl`, duration: ttl }
  for (const name of ['staleAfter', 'dismissAfter'] as const) {
    const duration = liveActivity?.[name]
    if (duration !== undefined) yield { path: `${path}.liveActivity.${name}`, duration }
  }
}

/** Adds up what is surely waited before each step: fixed waits, and fixed windows of digests. */
function expiredSteps(definition: WorkflowDefinition, problems: WorkflowProblem[]): void {
  const expiresMs = definition.expires === undefined ? undefined : durationMs(definition.expires)
  if (expiresMs === undefined) return
  const goThrough = (steps: readonly Step[], at: string, before: number): number => {
    let elapsed = before
    steps.forEach((step, index) => {
      const path = `${at}.${index}`
      if (channelStepOf(step) !== undefined && elapsed >= expiresMs) {
        problems.push({
          path,
          message: `Step ${index + 1} would come after the notification has expired (${definition.expires}).`,
          remedy: 'Raise `expires` or shorten the waits before it.',
        })
      }
      if (typeof step === 'string') return
      if ('branch' in step) {
        const yes = goThrough(step.branch.then, `${path}.branch.then`, elapsed)
        const no = goThrough(step.branch.else ?? [], `${path}.branch.else`, elapsed)
        elapsed = Math.min(yes, no)
      } else if ('experiment' in step) {
        step.experiment.cohorts.forEach(({ steps: inside = [] }, place) => {
          goThrough(inside, `${path}.experiment.cohorts.${place}.steps`, elapsed)
        })
      } else elapsed += surelyWaitedMs(step)
    })
    return elapsed
  }
  goThrough(definition.steps, 'steps', 0)
}

function surelyWaitedMs(step: Exclude<Step, string>): number {
  if ('wait' in step) return fixedWaitMs(step.wait)
  if (!('digest' in step) || !('window' in step.digest) || step.digest.flushFirst === true) return 0
  return durationMs(step.digest.window) as number
}

function fixedWaitMs(wait: WaitOptions): number {
  if (typeof wait === 'string') return durationMs(wait) as number
  const isPlain = 'for' in wait && !('event' in wait) && !('seen' in wait)
  return isPlain ? (durationMs(wait.for) as number) : 0
}

function trailingWaits(steps: readonly Step[], at: string, problems: WorkflowProblem[]): void {
  const last = steps.at(-1)
  const name = typeof last === 'object' ? (Object.keys(last)[0] as string) : ''
  if (at !== 'steps' || !['wait', 'digest', 'throttle'].includes(name)) return
  problems.push({
    path: `${at}.${steps.length - 1}`,
    message: `Nothing comes after the last ${name}.`,
    remedy: 'Add a step after it or remove it.',
  })
}
