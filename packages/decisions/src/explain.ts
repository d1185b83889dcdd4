import type { DeliveryStatus, Reason, RunState } from '@carillon/contracts'
import type { StepOutcome } from './plan.js'

/** A run as it was stored, with everything that became of it. Moments are milliseconds. */
export interface ExplainInput {
  event: { type: string; id: string; source: string; seenAt: number }
  workflow: { key: string; version: number }
  recipient: string
  state: RunState
  reason?: Reason | null
  /** One entry per pass: at the event, and after each wait. */
  passes: readonly { at: number; steps: readonly StepOutcome[] }[]
  deliveries: readonly ExplainedDelivery[]
  seenAt?: number | null
  readAt?: number | null
}

export interface ExplainedDelivery {
  id: string
  channel: string
  step: number
  /** Shown to people: the app and kind of a device, or a mailbox. */
  address: string
  status: DeliveryStatus
  reason?: Reason | null
  detail?: string | null
  attempts: readonly {
    number: number
    provider: string | null
    verdict: string | null
    reason?: string | null
    at: number
  }[]
  receipts: readonly { status: string; at: number }[]
  nextAttemptAt?: number | null
}

/** One thing that was decided or that happened, in order. */
export interface ExplainedReason {
  at: number
  what: string
  why: string
  reason?: Reason
}

export interface Explanation {
  /** One paragraph that a support agent can paste. */
  text: string
  reasons: ExplainedReason[]
}

/** The ordered causal story of a run, from what was stored. Pure. */
export function explain(input: ExplainInput): Explanation {
  const reasons: ExplainedReason[] = [
    {
      at: input.event.seenAt,
      what: `the event ${input.event.type} (${input.event.id}) arrived from ${input.event.source}`,
      why: `workflow "${input.workflow.key}" version ${input.workflow.version} matched it for ${input.recipient}`,
    },
    ...input.passes.flatMap((pass) => pass.steps.map((step) => explainStep(step, pass.at))),
    ...input.deliveries.flatMap((delivery) => explainDelivery(delivery, passOf(input, delivery.step))),
    ...moment(input.seenAt, 'it was seen'),
    ...moment(input.readAt, 'it was read'),
  ]
  const ordered = reasons
    .map((reason, index) => ({ reason, index }))
    .sort((a, b) => a.reason.at - b.reason.at || a.index - b.index)
    .map(({ reason }) => reason)
  return { text: paragraph(ordered, input), reasons: ordered }
}

const STATE_WORDS: Readonly<Record<RunState, string>> = {
  queued: 'is queued',
  running: 'is running',
  waiting: 'is waiting for its next step',
  digested: 'went into a digest',
  completed: 'is complete',
  skipped: 'was skipped',
  cancelled: 'was cancelled',
  failed: 'failed',
}

function explainStep(step: StepOutcome, at: number): ExplainedReason {
  const name = `step ${step.step + 1} (${step.type})`
  if (step.outcome === 'deliver') return { at, what: `${name} was sent on its way`, why: step.detail }
  if (step.outcome === 'wait')
    return { at, what: `${name} began to wait`, why: `${step.detail}, until ${iso(step.at ?? at)}` }
  if (step.outcome === 'pass') return { at, what: `${name} was passed`, why: step.detail }
  if (step.outcome === 'digest') return { at, what: `${name} gathers`, why: step.detail, reason: 'DIGESTED' }
  if (step.outcome === 'hold')
    return {
      at,
      what: `${name} is held until ${iso(step.at ?? at)}`,
      why: step.detail,
      reason: 'QUIET_HOURS',
    }
  return {
    at,
    what: `${name} was skipped`,
    why: step.detail,
    ...(step.reason === undefined ? {} : { reason: step.reason }),
  }
}

/** When the pass was judged that sent a step on its way. */
function passOf(input: ExplainInput, step: number): number {
  return (
    input.passes.find((pass) => pass.steps.some((outcome) => outcome.step === step))?.at ?? input.event.seenAt
  )
}

function explainDelivery(delivery: ExplainedDelivery, plannedAt: number): ExplainedReason[] {
  const name = `${delivery.channel} to ${delivery.address}`
  const story: ExplainedReason[] = delivery.attempts.map((attempt) => ({
    at: attempt.at,
    what: `${name}: attempt ${attempt.number}${attempt.provider === null ? '' : ` through ${attempt.provider}`}`,
    why:
      attempt.verdict === null
        ? 'no answer is known'
        : `${attempt.verdict}${attempt.reason ? ` (${attempt.reason})` : ''}`,
  }))
  for (const receipt of delivery.receipts) {
    if (receipt.status !== 'accepted')
      story.push({ at: receipt.at, what: `${name}: ${receipt.status}`, why: 'it was reported back' })
  }
  const last = story.reduce((latest, entry) => Math.max(latest, entry.at), plannedAt)
  const why = [
    delivery.reason === null || delivery.reason === undefined ? undefined : delivery.reason,
    delivery.detail === null || delivery.detail === undefined ? undefined : delivery.detail,
    delivery.nextAttemptAt ? `next attempt at ${iso(delivery.nextAttemptAt)}` : undefined,
  ].filter((part) => part !== undefined)
  story.push({
    at: last,
    what: `${name} is ${delivery.status}`,
    why: why.length === 0 ? 'nothing stands against it' : why.join(', '),
    ...(delivery.reason === null || delivery.reason === undefined ? {} : { reason: delivery.reason }),
  })
  return story
}

function moment(at: number | null | undefined, what: string): ExplainedReason[] {
  return at === null || at === undefined ? [] : [{ at, what, why: 'in the inbox or on a device' }]
}

function paragraph(reasons: readonly ExplainedReason[], input: ExplainInput): string {
  const sentences = reasons.map((reason) => sentence(`${reason.what}: ${reason.why}`))
  const reason = input.reason === null || input.reason === undefined ? '' : ` (${input.reason})`
  return [...sentences, sentence(`The run ${STATE_WORDS[input.state]}${reason}`)].join(' ')
}

function sentence(text: string): string {
  const trimmed = text.trim()
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${/[.!?]$/.test(trimmed) ? '' : '.'}`
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
