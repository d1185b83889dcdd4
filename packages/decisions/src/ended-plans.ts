import type { DomainEvent, Reason, RunState } from '@carillon/contracts'
import type { CompiledWorkflow } from './compile.js'
import { cancelKeyOf } from './keys.js'
import type { Plan } from './plan.js'
import type { StepType } from './steps.js'

interface Ended {
  event: DomainEvent
  workflow: CompiledWorkflow
  /** Milliseconds. */
  now: number
}

/** The plan of a run whose recipient isn't known: nothing is sent, and the reason is kept. */
export function planForUnknown(input: Ended & { recipient: string }): Plan {
  return ended(input, {
    state: 'skipped',
    reason: 'NO_RECIPIENT',
    detail: `there is no user "${input.recipient}"`,
  })
}

/** The plan of a run that could not be rendered: it fails, and names what is missing. */
export function planForFailure(input: Ended & { problem: string }): Plan {
  return ended(input, { state: 'failed', reason: 'PAYLOAD_INVALID', detail: input.problem })
}

function ended(
  { event, workflow, now }: Ended,
  { state, reason, detail }: { state: RunState; reason: Reason; detail: string },
): Plan {
  // the first step is never a jump
  const type = (workflow.steps[0]?.type ?? 'inbox') as StepType
  const cancelKey = cancelKeyOf(event, workflow)
  return {
    state,
    reason,
    at: now,
    steps: [{ step: 0, type, outcome: 'skip', reason, detail }],
    content: {},
    inInbox: false,
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
    ...(cancelKey === undefined ? {} : { cancelKey }),
  }
}
