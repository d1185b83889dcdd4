import {
  type Counter,
  countersOf,
  type Plan,
  type PlanInput,
  plan,
  planForFailure,
  RenderError,
  type StepOutcome,
  sends,
  settleCounters,
  type TenantCap,
} from '@carillon/decisions'

/** A run can't have more passes than steps and holds. */
const MOST_PASSES = 100

/**
 * What a run would come to if nobody looked, nothing it waits for came and nobody changed anything: all its passes at
 * once, each at its own time. A digest tells what it would say of this event alone. Sends and stores nothing.
 * @param counts changed: what it counts, by name
 * @param onCounter told of every counter that it looks at
 */
export function projectRun(
  input: PlanInput,
  { tenantCaps, counts }: { tenantCaps: readonly TenantCap[]; counts: Map<string, number> },
  onCounter: (counter: Counter) => void = () => undefined,
): StepOutcome[] {
  const steps: StepOutcome[] = []
  let countedBefore = false
  let current: PlanInput | undefined = input
  for (let pass = 0; current !== undefined && pass < MOST_PASSES; pass++) {
    const now: PlanInput = current
    const judged = orFailed(now, () => {
      const counting = { input: now, plan: plan(now), tenantCaps, countedBefore }
      for (const counter of countersOf(counting)) onCounter(counter)
      return settleCounters(counting, counts)
    })
    steps.push(...judged.steps)
    countedBefore ||= sends(judged)
    current = nextPass(now, judged)
  }
  return steps
}

function orFailed(input: PlanInput, judge: () => Plan): Plan {
  try {
    return judge()
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    const { event, workflow, now } = input
    return planForFailure({ event, workflow, now, problem: error.message })
  }
}

function nextPass(input: PlanInput, judged: Plan): PlanInput | undefined {
  const { held = [], digest, wakeAt, nextStep = null, resumeAt = null } = judged
  if (digest !== undefined) {
    const { id, type, source, subject = null, time = null, data } = input.event
    const items = [{ run: '', event: { id, type, source, subject, time }, data }]
    const facts = { ...input.facts, digest: { key: digest.key, items } }
    return { ...input, facts, fromStep: digest.step + 1, held, resumeAt: null }
  }
  if (wakeAt === undefined) return undefined
  return { ...input, now: wakeAt, fromStep: nextStep, resumeAt, held }
}
