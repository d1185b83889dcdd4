import type { DomainEvent, Lane, Reason, RunState } from '@carillon/contracts'
import { type CelScope, plainValue } from './cel.js'
import type { CompiledStep, CompiledWorkflow } from './compile.js'
import type { RenderedContent } from './content.js'
import type { Facts } from './facts.js'
import { celScope, eventScope } from './match.js'
import { judgePreferences } from './preferences.js'
import type { TextScope } from './texts.js'

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

/**
 * Judges a run from a step on until it ends or waits. Deterministic: same input, same bytes.
 *
 * Order for a channel step: recipient active, cancelled, expired, the step's own condition, category and channel
 * preference, already seen, frequency cap, address. The first "no" is the reason.
 * @throws RenderError when a text of a step that would be delivered can't be rendered
 */
export function plan(input: PlanInput): Plan {
  const { event, workflow, facts, now } = input
  const begunAt = input.begunAt ?? now
  const expiresAt = workflow.expiresMs === undefined ? undefined : begunAt + workflow.expiresMs
  const cel = celScope(event)
  const result: Plan = {
    state: 'completed',
    at: now,
    steps: [],
    content: {},
    inInbox: false,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...collapseOf(workflow, cel),
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
  }
  for (let index = input.fromStep ?? 0; index < workflow.steps.length; index++) {
    const step = workflow.steps[index] as CompiledStep
    if (step.type === 'wait') {
      const ended = endsBeforeWaiting(input, expiresAt)
      if (ended !== undefined) {
        result.steps.push({ step: index, type: 'wait', outcome: 'skip', ...ended })
        break
      }
      const at = now + step.waitMs
      result.steps.push({ step: index, type: 'wait', outcome: 'wait', detail: `waits ${step.wait}`, at })
      renderInto(result, input)
      return { ...result, state: 'waiting', wakeAt: at, nextStep: index + 1 }
    }
    result.steps.push(judgeStep(step, index, input, { cel, expiresAt }))
  }
  renderInto(result, input)
  return { ...result, ...finalState(result.steps, facts) }
}

interface StepContext {
  cel: CelScope
  expiresAt: number | undefined
}

type ChannelStep = Exclude<CompiledStep, { type: 'wait' }>
type Refusal = { reason: Reason; detail: string }

function judgeStep(step: ChannelStep, index: number, input: PlanInput, context: StepContext): StepOutcome {
  const base = { step: index, type: step.type }
  const refusal = generalRefusal(step, input, context)
  if (refusal !== undefined) return { ...base, outcome: 'skip', ...refusal }
  const preference = judgePreferences(input.facts, step.type)
  const addresses = addressesOf(step, input.facts)
  if (addresses.length === 0 && step.type !== 'inbox') {
    return { ...base, outcome: 'skip', reason: 'NO_ADDRESS', detail: missingAddress(step) }
  }
  return {
    ...base,
    outcome: 'deliver',
    detail: `${preference.decidedBy}${step.type === 'inbox' ? '' : `; to ${describe(addresses)}`}`,
    ...(step.type === 'inbox' ? {} : { addresses }),
    ...(step.options.maxAttempts === undefined ? {} : { maxAttempts: step.options.maxAttempts }),
  }
}

function generalRefusal(step: ChannelStep, input: PlanInput, context: StepContext): Refusal | undefined {
  const { facts, now, workflow } = input
  if (facts.user.status !== 'active') return { reason: 'NO_RECIPIENT', detail: 'the recipient is suspended' }
  if (facts.cancelled) return { reason: 'CANCELLED', detail: 'the run was cancelled' }
  if (context.expiresAt !== undefined && now >= context.expiresAt) {
    return { reason: 'EXPIRED', detail: `it expired after ${workflow.definition.expires}` }
  }
  const condition = conditionRefusal(step, context.cel)
  if (condition !== undefined) return condition
  const preference = judgePreferences(facts, step.type)
  if (!preference.enabled) return { reason: 'UNSUBSCRIBED', detail: preference.decidedBy }
  if (step.type !== 'inbox' && workflow.definition.stop === 'seen' && facts.seenAt !== null) {
    return { reason: 'ALREADY_SEEN', detail: `it was seen at ${new Date(facts.seenAt).toISOString()}` }
  }
  const cap = workflow.definition.cap
  // a cap demotes to the inbox; critical categories aren't capped
  if (
    step.type !== 'inbox' &&
    cap !== undefined &&
    facts.category?.critical !== true &&
    facts.capCount >= cap.count
  ) {
    return {
      reason: 'FREQUENCY_CAPPED',
      detail: `${facts.capCount} of at most ${cap.count} per ${cap.per} have gone out; it stays in the inbox`,
    }
  }
  return undefined
}

function conditionRefusal(step: ChannelStep, cel: CelScope): Refusal | undefined {
  if (step.condition === undefined) return undefined
  const result = step.condition(cel)
  if (result.ok && result.value === true) return undefined
  const why = result.ok ? 'is false' : `could not be judged: ${result.problem}`
  return { reason: 'CONDITION_FALSE', detail: `the step's condition ${step.options.if} ${why}` }
}

/** A run that can't say anything any more doesn't wait. */
function endsBeforeWaiting(input: PlanInput, expiresAt: number | undefined): Refusal | undefined {
  if (input.facts.cancelled) return { reason: 'CANCELLED', detail: 'the run was cancelled' }
  if (input.facts.user.status !== 'active')
    return { reason: 'NO_RECIPIENT', detail: 'the recipient is suspended' }
  if (expiresAt !== undefined && input.now >= expiresAt)
    return { reason: 'EXPIRED', detail: 'it has expired' }
  if (input.workflow.definition.stop === 'seen' && input.facts.seenAt !== null) {
    return { reason: 'ALREADY_SEEN', detail: `it was seen at ${new Date(input.facts.seenAt).toISOString()}` }
  }
  return undefined
}

function addressesOf(step: ChannelStep, facts: Facts): PlannedAddress[] {
  if (step.type === 'email') return facts.user.email === null ? [] : [{ kind: 'email', id: facts.user.email }]
  if (step.type === 'webhook')
    return step.options.url === undefined ? [] : [{ kind: 'webhook', id: step.options.url }]
  if (step.type !== 'push') return []
  return facts.devices
    .filter(
      (device) =>
        device.status === 'active' && (step.options.app === undefined || device.app === step.options.app),
    )
    .map((device) => ({ kind: 'device' as const, id: device.id }))
}

function missingAddress(step: ChannelStep): string {
  if (step.type === 'email') return 'the recipient has no e-mail address'
  if (step.type === 'webhook') return 'the step has no address'
  return step.options.app === undefined
    ? 'the recipient has no device'
    : `the recipient has no device of the app "${step.options.app}"`
}

function describe(addresses: readonly PlannedAddress[]): string {
  const kind = addresses[0]?.kind
  if (kind === 'email') return 'the mailbox'
  if (kind === 'webhook') return addresses[0]?.id ?? 'the address'
  return addresses.length === 1 ? '1 device' : `${addresses.length} devices`
}

function collapseOf(workflow: CompiledWorkflow, cel: CelScope): { collapseKey?: string } {
  const result = workflow.collapse?.(cel)
  if (result === undefined || !result.ok || result.value === null) return {}
  return { collapseKey: String(plainValue(result.value)).slice(0, 256) }
}

/** Renders what is delivered in this pass: the shared texts once, and each step's own. */
function renderInto(result: Plan, input: PlanInput): void {
  const { workflow, facts, event } = input
  const delivered = result.steps.filter((step) => step.outcome === 'deliver')
  result.inInbox = delivered.some((step) => step.type === 'inbox')
  if (delivered.length === 0) return
  const scope: TextScope = {
    data: event.data,
    user: {
      id: facts.user.externalId,
      name: facts.user.name,
      email: facts.user.email,
      locale: facts.user.locale ?? facts.tenantLocale,
      timezone: facts.user.timezone,
    },
    event: eventScope(event),
  }
  if (!workflow.texts.isEmpty)
    result.content.inbox = { ...workflow.texts.render(scope, facts.tenantLocale), ...extraData(event) }
  for (const outcome of delivered) {
    const step = workflow.steps[outcome.step] as ChannelStep
    if (step.texts === undefined) continue
    const rendered = { ...step.texts.render(scope, facts.tenantLocale), ...extraData(event) }
    if (step.type === 'inbox') result.content.inbox = rendered
    else result.content[String(outcome.step)] = rendered
  }
}

/** Data that an app gets along with the texts: what the event offers under `data.notification`. */
function extraData(event: DomainEvent): { data?: unknown } {
  const offered = (event.data as { notification?: unknown } | null)?.notification
  return typeof offered === 'object' && offered !== null && !Array.isArray(offered) ? { data: offered } : {}
}

function finalState(steps: readonly StepOutcome[], facts: Facts): { state: RunState; reason?: Reason } {
  if (steps.some((step) => step.outcome === 'deliver')) return { state: 'completed' }
  const last = [...steps].reverse().find((step) => step.reason !== undefined)
  if (facts.cancelled) return { state: 'cancelled', reason: 'CANCELLED' }
  return { state: 'skipped', ...(last?.reason === undefined ? {} : { reason: last.reason }) }
}

/** The plan of a run whose recipient isn't known: nothing is sent, and the reason is kept. */
export function planForUnknown(input: {
  event: DomainEvent
  workflow: CompiledWorkflow
  now: number
  recipient: string
}): Plan {
  const { event, workflow, now } = input
  return {
    state: 'skipped',
    reason: 'NO_RECIPIENT',
    at: now,
    steps: [
      {
        step: 0,
        type: workflow.steps[0]?.type ?? 'inbox',
        outcome: 'skip',
        reason: 'NO_RECIPIENT',
        detail: `there is no user "${input.recipient}"`,
      },
    ],
    content: {},
    inInbox: false,
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
  }
}

/** The plan of a run that could not be rendered: it fails, and names what is missing. */
export function planForFailure(input: {
  event: DomainEvent
  workflow: CompiledWorkflow
  now: number
  problem: string
}): Plan {
  const { event, workflow, now } = input
  return {
    state: 'failed',
    reason: 'PAYLOAD_INVALID',
    at: now,
    steps: [
      {
        step: 0,
        type: workflow.steps[0]?.type ?? 'inbox',
        outcome: 'skip',
        reason: 'PAYLOAD_INVALID',
        detail: input.problem,
      },
    ],
    content: {},
    inInbox: false,
    lane: workflow.lane ?? event.lane,
    category: workflow.category ?? null,
  }
}
