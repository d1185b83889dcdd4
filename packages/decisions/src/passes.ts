import { planForFailure } from './ended-plans.js'
import { RenderError } from './errors.js'
import { type Plan, type PlanInput, plan, type StepOutcome } from './plan.js'

/** True when a plan sends something beyond the inbox. */
export function sends({ steps }: { steps: readonly Pick<StepOutcome, 'outcome' | 'type'>[] }): boolean {
  return steps.some((step) => step.outcome === 'deliver' && step.type !== 'inbox')
}

/** Judges, or makes the run a failed one; `problem` names what is missing. */
export function judgeOrFail(
  input: PlanInput,
  judge: () => Plan = () => plan(input),
): { plan: Plan; problem?: string } {
  try {
    return { plan: judge() }
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    const { event, workflow, now } = input
    return { plan: planForFailure({ event, workflow, now, problem: error.message }), problem: error.message }
  }
}

/**
 * Two parts of one pass: up to a digest that lets its first item go on at once, and what comes after it. The throttles of
 * the earlier part have been counted; those of the joined plan are the later part's alone.
 */
export function joinParts(earlier: Plan, later: Plan): Plan {
  const { digest: _digest, reason: _reason, throttles: _counted, ...kept } = earlier
  const passed = earlier.steps.map((step) =>
    step.outcome === 'digest'
      ? {
          step: step.step,
          type: step.type,
          outcome: 'pass' as const,
          detail: 'the first one goes on at once',
        }
      : step,
  )
  const inInbox = earlier.inInbox || later.inInbox
  const joined: Plan = {
    ...kept,
    ...later,
    steps: [...passed, ...later.steps],
    content: { ...earlier.content, ...later.content },
    inInbox,
  }
  if (later.state === 'skipped' && (inInbox || sends(earlier))) joined.state = 'completed'
  if (joined.state === 'completed') delete joined.reason
  const cancels = [...(earlier.cancels ?? []), ...(later.cancels ?? [])]
  if (cancels.length > 0) joined.cancels = cancels
  const held = [...(earlier.held ?? []), ...(later.held ?? [])]
  if (held.length > 0) {
    joined.held = held
    joined.wakeAt = Math.min(...held.map(({ at }) => at), joined.resumeAt ?? Number.POSITIVE_INFINITY)
    joined.state = 'waiting'
  }
  return joined
}
