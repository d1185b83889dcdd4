import type { DomainEvent, Lane, Reason, RunState } from '@carillon/contracts'
import { type CelScope, plainValue } from './cel.js'
import type { ChannelStep, CompiledStep, CompiledWorkflow } from './compile.js'
import type { RenderedContent } from './content.js'
import type { Facts } from './facts.js'
import { judgeStep, type Refusal, runRefusal, type StepInput, seenRefusal } from './judge-step.js'
import { celScope } from './match.js'
import { renderPlanned } from './planned-content.js'
import { judgePreferences } from './preferences.js'
import { storable } from './storable.js'

/** An address that a step goes to: a device by its internal id, a mailbox, a URL. */
export interface PlannedAddress {
  kind: 'device' | 'email' | 'webhook'
  id: string
}

/** What was decided for one step, with the reason and what decided. */
export interface StepOutcome {
  /** Position in the workflow, from 0. */
  step: number
  type: CompiledStep['type']
  outcome: 'deliver' | 'wait' | 'skip'
  /** On every skip. */
  reason?: Reason
  /** One sentence. */
  detail: string
  /** When the step after a wait comes, milliseconds. */
  at?: number
  addresses?: PlannedAddress[]
  maxAttempts?: number
}

/** What becomes of one run in this pass, up to its next wait. Plain data, stable order: stored as it is. */
export interface Plan {
  state: RunState
  reason?: Reason
  /** When this pass was judged, milliseconds. */
  at: number
  steps: StepOutcome[]
  /** Rendered texts: `inbox` for what is shared, and one entry per step that says something else. */
  content: Record<string, RenderedContent & { data?: unknown }>
  /** An inbox step delivered in this pass, or a cap moved a louder step here. */
  inInbox: boolean
  wakeAt?: number
  nextStep?: number
  expiresAt?: number
  collapseKey?: string
  lane: Lane
  category: string | null
}

export interface PlanInput {
  event: DomainEvent
  workflow: CompiledWorkflow
  facts: Facts
  /** Milliseconds. */
  now: number
  /** When the run began; its `expires` counts from here. Default: now. */
  begunAt?: number
  /** First step to judge; a woken run goes on where it waited. Default: 0. */
  fromStep?: number
}

const MAX_COLLAPSE_KEY = 256

/**
 * Judges a run from a step on until it ends or waits. Deterministic: same input, same bytes. Every step up to there has
 * an outcome, and every skip a reason.
 *
 * Order for a channel step: recipient active, cancelled, expired, the step's own condition, category preference, channel
 * preference, already seen, frequency cap, address. The first "no" is the reason.
 * @throws RenderError when a text of a step that would be delivered can't be rendered
 */
export function plan(input: PlanInput): Plan {
  const { event, workflow, facts, now } = input
  const cel = celScope(event)
  const expiresAt = workflow.expiresMs === undefined ? undefined : (input.begunAt ?? now) + workflow.expiresMs
  const judged: StepInput = { workflow, facts, now, cel, expiresAt }
  const steps: StepOutcome[] = []
  let wakeAt: number | undefined
  let index = input.fromStep ?? 0
  for (; index < workflow.steps.length && wakeAt === undefined; index++) {
    const step = workflow.steps[index] as CompiledStep
    if (step.type !== 'wait') {
      steps.push(judgeStep(step, index, judged))
      continue
    }
    const ended = runRefusal(judged) ?? seenRefusal(workflow, facts)
    if (ended !== undefined) {
      skipRest(steps, workflow, index, ended)
      break
    }
    wakeAt = now + step.waitMs
    steps.push({ step: index, type: 'wait', outcome: 'wait', detail: `waits ${step.wait}`, at: wakeAt })
  }
  const demoted = demotedStep(steps, input)
  const inInbox = demoted !== undefined || steps.some(isInInbox)
  // fields are assigned one by one: spreading what may be absent costs more than all of the judging
  const result: Plan = {
    state: wakeAt === undefined ? finalState(steps, facts, inInbox) : 'waiting',
    at: now,
    steps,
    content: renderPlanned(steps, demoted, input),
    inInbox,
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
  }
  const reason = reasonOf(result)
  if (reason !== undefined) result.reason = reason
  if (wakeAt !== undefined) {
    result.wakeAt = wakeAt
    result.nextStep = index
  }
  if (expiresAt !== undefined) result.expiresAt = expiresAt
  const collapseKey = collapseOf(workflow, cel)
  if (collapseKey !== undefined) result.collapseKey = collapseKey
  return result
}

function isInInbox(step: StepOutcome): boolean {
  return step.outcome === 'deliver' && step.type === 'inbox'
}

/** A run that can't say anything any more doesn't wait; what would have come has the same reason. */
function skipRest(steps: StepOutcome[], workflow: CompiledWorkflow, from: number, ended: Refusal): void {
  for (let index = from; index < workflow.steps.length; index++) {
    const { type } = workflow.steps[index] as CompiledStep
    steps.push({ step: index, type, outcome: 'skip', reason: ended.reason, detail: ended.detail })
  }
}

/** The first step that a cap held back in a workflow without an inbox step: it is shown in the inbox instead. */
function demotedStep(steps: readonly StepOutcome[], { workflow, facts }: PlanInput): ChannelStep | undefined {
  const capped = steps.find((step) => step.reason === 'FREQUENCY_CAPPED')
  if (capped === undefined || workflow.steps.some((step) => step.type === 'inbox')) return undefined
  if (!judgePreferences(facts, 'inbox', workflow.category ?? null).enabled) return undefined
  return workflow.steps[capped.step] as ChannelStep
}

function finalState(steps: readonly StepOutcome[], facts: Facts, inInbox: boolean): RunState {
  if (inInbox || steps.some((step) => step.outcome === 'deliver')) return 'completed'
  return facts.cancelled ? 'cancelled' : 'skipped'
}

function reasonOf({ state, steps }: Plan): Reason | undefined {
  if (state === 'cancelled') return 'CANCELLED'
  return state === 'skipped' ? steps.at(-1)?.reason : undefined
}

function collapseOf(workflow: CompiledWorkflow, cel: CelScope): string | undefined {
  const result = workflow.collapse?.(cel)
  if (result?.ok !== true) return undefined
  const value = plainValue(result.value)
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const key = storable(String(value).slice(0, MAX_COLLAPSE_KEY))
  return key === '' ? undefined : key
}
