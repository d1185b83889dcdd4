import type { DomainEvent, Lane, Reason, RunState } from '@carillon/contracts'
import type { CompiledWorkflow } from './compile.js'
import type { RenderedContent } from './content.js'
import type { Facts } from './facts.js'
import { judgeStep, runRefusal, type StepInput, seenRefusal } from './judge-step.js'
import { cancelKeyOf, keyOf } from './keys.js'
import { renderPlanned } from './planned-content.js'
import { judgePreferences } from './preferences.js'
import { type CelScope, celScope, type RunScope, userScope } from './scope.js'
import type { ChannelStep, StepType } from './steps.js'
import type { Calendar } from './time/calendar.js'
import { skipFrom, type Walk, walk } from './walk.js'

/** An address that a step goes to: a device by its internal id, a mailbox, a number, a URL. */
export interface PlannedAddress {
  kind: 'device' | 'email' | 'phone' | 'webhook'
  id: string
}

/** What was decided for one step, with the reason and what decided. */
export interface StepOutcome {
  /** Position among the flat steps, from 0. */
  step: number
  type: StepType
  /** `pass`: a step that only leads on. */
  outcome: 'deliver' | 'wait' | 'hold' | 'digest' | 'pass' | 'skip'
  /** On every skip and hold. */
  reason?: Reason
  /** One sentence. */
  detail: string
  /** When what comes after a wait or a hold is due, milliseconds. */
  at?: number
  addresses?: PlannedAddress[]
  maxAttempts?: number
  /** Which items of the digest are told, when not all are. */
  items?: number[]
}

/** A step that quiet hours hold, and until when. */
export interface HeldStep {
  step: number
  at: number
}

/** What becomes of one run in this pass, up to its next wait. Plain data, stable order: stored as it is. */
export interface Plan {
  state: RunState
  reason?: Reason
  /** When this pass was judged, milliseconds. */
  at: number
  steps: StepOutcome[]
  /**
   * Rendered texts: `inbox` for what is shared, and one entry per step that says something else. An entry with texts is
   * whole; one with `options` alone goes with the shared texts.
   */
  content: Record<string, RenderedContent>
  /** An inbox step delivered in this pass, or a cap moved a louder step here. */
  inInbox: boolean
  /** When the run is looked at again: what is held, or the next step. */
  wakeAt?: number
  nextStep?: number
  /** When the next step is due. */
  resumeAt?: number
  held?: HeldStep[]
  /** Seen anywhere wakes it. */
  wakeOnSeen?: true
  /** The event that wakes it. */
  awaits?: { type: string; expression: string; key: string }
  /** The digest that the run goes into. */
  digest?: { step: number; key: string }
  /** Throttles that it passed, to be counted. */
  throttles?: { step: number; key: string }[]
  /** Runs that it cancels. */
  cancels?: { workflow: string; key: string }[]
  cancelKey?: string
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
  calendar: Calendar
  /** When the run began; its `expires` counts from here. Default: now. */
  begunAt?: number
  /** First step to judge; a woken run goes on where it waited. Default: 0; null: only what is held is left. */
  fromStep?: number | null
  /** When that step is due; before that only what is held is judged. Default: now. */
  resumeAt?: number | null
  held?: readonly HeldStep[]
}

/**
 * Judges a run from a step on until it ends or waits. Deterministic: same input, same bytes. Every step up to there has
 * an outcome, and every skip a reason.
 *
 * Order for a channel step: recipient active, cancelled, expired, the step's own condition, category preference, channel
 * preference, already seen, frequency cap, quiet hours, address. The first "no" is the reason.
 * @throws RenderError when a text of a step that would be delivered can't be rendered, or a wait or key be told
 */
export function plan(input: PlanInput): Plan {
  const { event, workflow, facts, now } = input
  const judged = stepInput(input)
  const went = goOn(input, judged)
  const demoted = demotedStep(went.steps, input, judged.cel)
  const inInbox = demoted !== undefined || went.steps.some(isInInbox)
  // fields are assigned one by one: spreading what may be absent costs more than all of the judging
  const result: Plan = {
    state: stateOf(went, facts, inInbox),
    at: now,
    steps: went.steps,
    content: renderPlanned(went.steps, demoted, input, judged.cel),
    inInbox,
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
  }
  const reason = reasonOf(result)
  if (reason !== undefined) result.reason = reason
  if (result.state === 'waiting') addWaiting(result, went, workflow)
  if (went.digest !== undefined) result.digest = went.digest
  if (went.throttles.length > 0) result.throttles = went.throttles
  if (went.cancels.length > 0) result.cancels = went.cancels
  if (judged.expiresAt !== undefined) result.expiresAt = judged.expiresAt
  const collapseKey = workflow.collapse && keyOf(workflow.collapse, judged.cel)
  if (collapseKey !== undefined && collapseKey !== '') result.collapseKey = collapseKey
  const cancelKey = cancelKeyOf(event, workflow)
  if (cancelKey !== undefined) result.cancelKey = cancelKey
  return result
}

function stepInput(input: PlanInput): StepInput {
  const { event, workflow, facts, now, calendar } = input
  return {
    workflow,
    facts,
    now,
    calendar,
    cel: scopeOf(input),
    expiresAt: workflow.expiresMs === undefined ? undefined : (input.begunAt ?? now) + workflow.expiresMs,
    // a one-time code can't wait for the morning
    urgent: facts.category?.critical === true || (workflow.lane ?? event.lane) === 'high',
  }
}

function scopeOf(input: PlanInput): CelScope {
  const { event, facts } = input
  const scope = celScope(event)
  const { tenantLocale: locale, tenantTimezone: timezone } = facts
  scope.user = userScope(facts.user, { locale, timezone })
  scope.run = runScope(input)
  return scope
}

function runScope({ facts, fromStep, workflow }: PlanInput): RunScope {
  const before = fromStep == null ? undefined : workflow.steps[fromStep - 1]
  const waited = before?.type === 'wait' ? before.wait.kind : undefined
  const { awaited, seenAt } = facts
  let woken: RunScope['woken'] = waited === undefined ? null : 'time'
  if (waited === 'event' && awaited !== undefined) woken = 'event'
  if (waited === 'seen' && seenAt !== null) woken = 'seen'
  return {
    seen: seenAt !== null,
    woken,
    event: awaited?.data ?? null,
    count: facts.digest?.items.length ?? 1,
  }
}

/** Judges what is held and due, then the steps from the next one on, if it is due. */
function goOn(input: PlanInput, judged: StepInput): Walk {
  const { workflow, facts, now, held = [], fromStep = 0, resumeAt } = input
  const went: Walk = { steps: [], held: [], throttles: [], cancels: [] }
  const ended =
    held.length + (resumeAt == null ? 0 : 1) > 0 && (runRefusal(judged) ?? seenRefusal(workflow, facts))
  for (const { step: index, at } of held) {
    const step = workflow.steps[index] as ChannelStep
    if (ended) went.steps.push({ step: index, type: step.type, outcome: 'skip', ...ended })
    else if (at > now) went.held.push({ step: index, at })
    else {
      const outcome = judgeStep(step, index, judged)
      went.steps.push(outcome)
      if (outcome.outcome === 'hold') went.held.push({ step: index, at: outcome.at as number })
    }
  }
  if (fromStep === null) return went
  if (ended) skipFrom(went.steps, workflow, fromStep, ended)
  else if (resumeAt != null && now < resumeAt && !wakesEarly(input)) {
    went.next = fromStep
    went.resumeAt = resumeAt
  } else walk(went, fromStep, input, judged)
  return went
}

/** A wait for an event or for being seen ends before its time when that has happened. */
function wakesEarly({ workflow, facts, fromStep }: PlanInput): boolean {
  const before = workflow.steps[(fromStep ?? 0) - 1]
  if (before?.type !== 'wait') return false
  if (before.wait.kind === 'event') return facts.awaited !== undefined
  return before.wait.kind === 'seen' && facts.seenAt !== null
}

function addWaiting(result: Plan, went: Walk, workflow: CompiledWorkflow): void {
  const due = went.held.map(({ at }) => at)
  if (went.next !== undefined) {
    result.nextStep = went.next
    result.resumeAt = went.resumeAt as number
    due.push(result.resumeAt)
  }
  result.wakeAt = Math.min(...due)
  if (went.held.length > 0) result.held = went.held
  if (workflow.listensToSeen) result.wakeOnSeen = true
  if (went.awaits !== undefined) result.awaits = went.awaits
}

function isInInbox(step: StepOutcome): boolean {
  return step.outcome === 'deliver' && step.type === 'inbox'
}

/** The first step that a cap held back in a workflow without an inbox step: it is shown in the inbox instead. */
function demotedStep(
  steps: readonly StepOutcome[],
  { workflow, facts }: PlanInput,
  cel: CelScope,
): ChannelStep | undefined {
  const capped = steps.find((step) => step.reason === 'FREQUENCY_CAPPED')
  if (capped === undefined || workflow.steps.some((step) => step.type === 'inbox')) return undefined
  if (!judgePreferences(facts, 'inbox', workflow.category ?? null, cel).enabled) return undefined
  return workflow.steps[capped.step] as ChannelStep
}

function stateOf(went: Walk, facts: Facts, inInbox: boolean): RunState {
  if (went.next !== undefined || went.held.length > 0) return 'waiting'
  if (went.digest !== undefined) return 'digested'
  if (inInbox || went.cancels.length > 0 || went.steps.some((step) => step.outcome === 'deliver'))
    return 'completed'
  return facts.cancelledAt !== null ? 'cancelled' : 'skipped'
}

function reasonOf({ state, steps }: Plan): Reason | undefined {
  if (state === 'cancelled') return 'CANCELLED'
  if (state === 'digested') return 'DIGESTED'
  // a run that a branch led past every channel has no skip of its own
  return state === 'skipped'
    ? (steps.findLast((step) => step.outcome === 'skip')?.reason ?? 'CONDITION_FALSE')
    : undefined
}
