import type { Reason, RunState } from '@carillon/contracts'
import type { Plan, StepOutcome } from '../plan.js'
import type { ReplayRun } from './run.js'

/** What became of one run, with all its passes. */
export interface Decision {
  /** Readable and stable, like `ride-accepted/ada/e-1`. */
  run: string
  workflow: string
  version: number
  event: { id: string; type: string; source: string }
  recipient: string
  /** When it began, milliseconds. */
  at: number
  state: RunState
  reason?: Reason
  /** Of all passes, in the order in which they were judged. */
  steps: readonly StepOutcome[]
  /** One entry per pass: at the event, and after each wait. */
  passes: readonly { at: number; steps: readonly StepOutcome[] }[]
  content: Plan['content']
  inInbox: boolean
  /** The digest that it went into, or what it gathered itself. */
  digest?: { into: string } | { items: readonly string[] }
}

/** The decision on a run as it stands now. */
export function decisionOf(run: ReplayRun): Decision {
  const { plan, event, workflow } = run
  const delivered = run.passes.some(({ steps }) => steps.some(({ outcome }) => outcome === 'deliver'))
  // what has gone out has gone out, whatever ended the run later
  const state = (run.inInbox || delivered) && plan.state === 'skipped' ? 'completed' : plan.state
  const decision: Decision = {
    run: run.id,
    workflow: workflow.key,
    version: workflow.version,
    event: { id: event.id, type: event.type, source: event.source },
    recipient: run.recipient,
    at: run.begunAt,
    state,
    steps: run.passes.flatMap(({ steps }) => steps),
    passes: run.passes,
    content: run.content,
    inInbox: run.inInbox,
  }
  if (plan.reason !== undefined && state === plan.state) decision.reason = plan.reason
  if (run.digestId !== undefined) decision.digest = { into: run.digestId }
  else if (run.items !== undefined) decision.digest = { items: run.items.map(({ id }) => id) }
  return decision
}
