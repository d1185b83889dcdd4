import type { Channel, ChannelOptions, Step } from '@carillon/contracts'
import type { Expression } from './cel.js'
import type { LocalisedTexts } from './content.js'
import type { StepOptions } from './said-options.js'
import type { LocalTime } from './time/local-time.js'

/**
 * Steps are kept flat: a branch and an experiment name where their parts begin, and a jump leads past the other parts.
 * A position is a plain number, which rows and ids hold; jumps only lead forward, so every run ends.
 */
export type CompiledStep =
  | ChannelStep
  | WaitStep
  | DigestStep
  | ThrottleStep
  | BranchStep
  | ExperimentStep
  | CancelStep
  | JumpStep

export type StepType = Exclude<CompiledStep['type'], 'jump'>

interface Placed {
  /** Where it stands in the workflow's own words, like `steps.2.branch.then.0`. */
  path: string
}

export interface ChannelStep extends Placed {
  type: Channel
  options: ChannelOptions
  condition: Expression | undefined
  /** The step's own texts; undefined when it shows the workflow's. */
  texts: LocalisedTexts | undefined
  /** How it is sent, when the step says something of it. */
  says: StepOptions | undefined
}

export type CompiledWait =
  | { kind: 'for'; ms: number }
  | { kind: 'until'; moment: Expression }
  | { kind: 'at'; time: LocalTime }
  /** `expression` tells the key of an awaited event; `key` tells the run's own. */
  | { kind: 'event'; event: string; expression: string; key: Expression; ms: number }
  | { kind: 'seen'; ms: number }

export interface WaitStep extends Placed {
  type: 'wait'
  wait: CompiledWait
  /** For people, like `20s` or `until 09:00 on mon`. */
  text: string
}

export type DigestWindow =
  | { kind: 'fixed'; ms: number }
  | { kind: 'sliding'; ms: number; atMostMs: number }
  | { kind: 'scheduled'; time: LocalTime }

export interface DigestStep extends Placed {
  type: 'digest'
  window: DigestWindow
  key: Expression | undefined
  maxItems: number
  flushFirst: boolean
}

export interface ThrottleStep extends Placed {
  type: 'throttle'
  count: number
  per: string
  perMs: number
  key: Expression | undefined
}

export interface BranchStep extends Placed {
  type: 'branch'
  condition: Expression
  text: string
  /** First step when the condition doesn't hold. */
  otherwise: number
}

export interface ExperimentStep extends Placed {
  type: 'experiment'
  /** What the cohort depends on besides the person. */
  key: string
  /** `upTo` is the end of the cohort's share, 0 to 100. */
  cohorts: readonly { name: string; upTo: number; at: number }[]
  /** First step of who is in no cohort. */
  otherwise: number
}

export interface CancelStep extends Placed {
  type: 'cancel'
  workflow: string
  key: Expression
}

export interface JumpStep extends Placed {
  type: 'jump'
  to: number
}

/** The key that awaited events without one of their own share. */
export const ANY_KEY = '""'

/** The event types that a definition waits for, with the expression that tells an event's key. */
export function awaitedBy(definition: { steps: readonly Step[] }): { type: string; expression: string }[] {
  const found = new Map<string, { type: string; expression: string }>()
  for (const { step } of everyStep(definition.steps)) {
    if (typeof step === 'string' || !('wait' in step)) continue
    const { wait } = step
    if (typeof wait === 'string' || !('event' in wait)) continue
    const awaited = { type: wait.event, expression: wait.eventKey ?? wait.key ?? ANY_KEY }
    found.set(`${awaited.type} ${awaited.expression}`, awaited)
  }
  return [...found.values()]
}

/** Every step with its place, those in branches and cohorts too. */
export function* everyStep(steps: readonly Step[], at = 'steps'): Generator<{ step: Step; path: string }> {
  for (const [index, step] of steps.entries()) {
    const path = `${at}.${index}`
    yield { step, path }
    if (typeof step === 'string') continue
    if ('branch' in step) {
      yield* everyStep(step.branch.then, `${path}.branch.then`)
      yield* everyStep(step.branch.else ?? [], `${path}.branch.else`)
    } else if ('experiment' in step) {
      for (const [place, cohort] of step.experiment.cohorts.entries())
        yield* everyStep(cohort.steps ?? [], `${path}.experiment.cohorts.${place}.steps`)
    }
  }
}

/** Name and options of a channel step; undefined for the others. A bare name and an object with one key say the same. */
export function channelStepOf(step: Step): { type: Channel; options: ChannelOptions } | undefined {
  if (typeof step === 'string') return { type: step, options: {} }
  const [type, options] = Object.entries(step)[0] as [string, ChannelOptions]
  return CHANNEL_NAMES.has(type) ? { type: type as Channel, options } : undefined
}

const CHANNEL_NAMES: ReadonlySet<string> = new Set(['inbox', 'push', 'email', 'sms', 'webhook'])
