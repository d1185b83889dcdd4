import type { Reason } from '@carillon/contracts'
import { conditionProblem } from './cel.js'
import type { CompiledWorkflow } from './compile.js'
import type { Facts } from './facts.js'
import type { PlannedAddress, StepOutcome } from './plan.js'
import { dependsOnEvent, judgePreferences, type PreferenceVerdict } from './preferences.js'
import type { CelScope } from './scope.js'
import type { ChannelStep } from './steps.js'
import type { Calendar } from './time/calendar.js'

/** What the steps of a run are judged by. */
export interface StepInput {
  workflow: CompiledWorkflow
  facts: Facts
  /** Milliseconds. */
  now: number
  cel: CelScope
  /** Milliseconds; undefined: never. */
  expiresAt: number | undefined
  calendar: Calendar
  urgent: boolean
}

export interface Refusal {
  reason: Reason
  /** One sentence. */
  detail: string
}

/** Judges one channel step. The first "no" is the reason. */
export function judgeStep(step: ChannelStep, index: number, input: StepInput): StepOutcome {
  const { workflow, facts } = input
  const { type } = step
  const skip = ({ reason, detail }: Refusal): StepOutcome => ({
    step: index,
    type,
    outcome: 'skip',
    reason,
    detail,
  })
  const refusal = runRefusal(input) ?? conditionRefusal(step, input.cel)
  if (refusal !== undefined) return skip(refusal)
  const { preference, items } = preferenceOf(step, input)
  if (!preference.enabled)
    return skip({ reason: preference.reason ?? 'UNSUBSCRIBED', detail: preference.decidedBy })
  const delivered: StepOutcome = { step: index, type, outcome: 'deliver', detail: preference.decidedBy }
  if (items !== undefined) delivered.items = items
  if (type === 'inbox') return delivered
  const quieter = seenRefusal(workflow, facts) ?? onlineRefusal(step, input) ?? capRefusal(step, facts)
  if (quieter !== undefined) return skip(quieter)
  const held = heldOutcome(step, index, input)
  if (held !== undefined) return held
  const addresses = addressesOf(step, facts)
  if (addresses.length === 0) return skip({ reason: 'NO_ADDRESS', detail: missingAddress(step, facts) })
  delivered.detail = `${preference.decidedBy}; to ${described(addresses)}`
  delivered.addresses = addresses
  if (step.options.maxAttempts !== undefined) delivered.maxAttempts = step.options.maxAttempts
  return delivered
}

/** What ends a whole run, whatever its next step is. */
export function runRefusal({ workflow, facts, now, expiresAt }: StepInput): Refusal | undefined {
  if (facts.user.status !== 'active') return { reason: 'NO_RECIPIENT', detail: 'the recipient is suspended' }
  if (facts.cancelledAt !== null)
    return { reason: 'CANCELLED', detail: `it was cancelled at ${iso(facts.cancelledAt)}` }
  if (expiresAt !== undefined && now >= expiresAt) {
    return { reason: 'EXPIRED', detail: `it expired after ${workflow.definition.expires}` }
  }
  return undefined
}

/** Seen anywhere ends a run that says so. */
export function seenRefusal(workflow: CompiledWorkflow, facts: Facts): Refusal | undefined {
  return workflow.definition.stop === 'seen' && facts.seenAt !== null
    ? { reason: 'ALREADY_SEEN', detail: `it was seen at ${iso(facts.seenAt)}` }
    : undefined
}

function conditionRefusal(step: ChannelStep, cel: CelScope): Refusal | undefined {
  const problem = step.condition === undefined ? undefined : conditionProblem(step.condition(cel))
  if (problem === undefined) return undefined
  return { reason: 'CONDITION_FALSE', detail: `the step's condition ${step.options.if} ${problem}` }
}

/**
 * The preferences' word on a step. What a digest gathered is judged item by item: `items` are those that may be told
 * through this channel, when not all of them may.
 */
function preferenceOf(
  step: ChannelStep,
  { workflow, facts, cel }: StepInput,
): { preference: PreferenceVerdict; items?: number[] } {
  const category = workflow.category ?? null
  const { digest } = facts
  if (digest === undefined || !dependsOnEvent(facts))
    return { preference: judgePreferences(facts, step.type, category, cel) }
  const verdicts = digest.items.map(({ data, event }) =>
    judgePreferences(facts, step.type, category, { data, event }),
  )
  const items = verdicts.flatMap((verdict, index) => (verdict.enabled ? [index] : []))
  const first = verdicts.find(({ enabled }) => enabled === items.length > 0) as PreferenceVerdict
  if (items.length === verdicts.length || items.length === 0) return { preference: first }
  const decidedBy = `${items.length} of ${verdicts.length} items: ${first.decidedBy}`
  return { preference: { enabled: true, decidedBy }, items }
}

/** Who is looking needs no knock on the door, when the step says so. */
function onlineRefusal(step: ChannelStep, { facts, now }: StepInput): Refusal | undefined {
  return step.options.unlessOnline === true && facts.online === true
    ? { reason: 'ONLINE', detail: `they were looking at the app at ${iso(now)}` }
    : undefined
}

/** A cap demotes to the inbox; critical categories aren't capped. */
function capRefusal(step: ChannelStep, facts: Facts): Refusal | undefined {
  const cap = facts.used?.cap
  if (cap === undefined || facts.category?.critical === true || !cap.channels.includes(step.type))
    return undefined
  return { reason: 'FREQUENCY_CAPPED', detail: `${cap.detail}; it is left to the inbox` }
}

/** Quiet hours hold and send later; what would expire meanwhile expires now. Urgent runs are let through. */
function heldOutcome(step: ChannelStep, index: number, input: StepInput): StepOutcome | undefined {
  const { facts, now, calendar, expiresAt } = input
  const quiet = facts.quietHours
  if (quiet === null || input.urgent || !quiet.channels.includes(step.type)) return undefined
  const timezone = facts.user.timezone ?? facts.tenantTimezone
  const at = calendar.quietUntil(quiet.windows, timezone, now)
  if (at === undefined) return undefined
  const whose = quiet.by === 'person' ? "the person's" : "the tenant's"
  const until = `${whose} quiet hours last until ${calendar.local(timezone, at).text}`
  if (expiresAt !== undefined && at >= expiresAt) {
    const detail = `${until}, and by then it has expired (${input.workflow.definition.expires})`
    return { step: index, type: step.type, outcome: 'skip', reason: 'EXPIRED', detail }
  }
  return { step: index, type: step.type, outcome: 'hold', reason: 'QUIET_HOURS', detail: until, at }
}

function addressesOf(step: ChannelStep, facts: Facts): PlannedAddress[] {
  const { email, phone } = facts.user
  if (step.type === 'email') return email === null ? [] : [{ kind: 'email', id: email }]
  if (step.type === 'sms') return phone === null ? [] : [{ kind: 'phone', id: phone }]
  if (step.type === 'webhook')
    return step.options.url === undefined ? [] : [{ kind: 'webhook', id: step.options.url }]
  const addresses: PlannedAddress[] = []
  for (const device of facts.devices) {
    if (device.status === 'active' && (step.options.app === undefined || device.app === step.options.app))
      addresses.push({ kind: 'device', id: device.id })
  }
  return addresses
}

function missingAddress(step: ChannelStep, facts: Facts): string {
  if (step.type === 'email') return 'the recipient has no e-mail address'
  if (step.type === 'sms') return 'the recipient has no phone number'
  if (step.type === 'webhook') return 'the step has no address'
  if (facts.devices.length === 0) return 'the recipient has no device'
  return step.options.app === undefined
    ? 'none of the devices of the recipient is active'
    : `the recipient has no active device of the app "${step.options.app}"`
}

function described(addresses: readonly PlannedAddress[]): string {
  const first = addresses[0]
  if (first?.kind === 'email') return 'the mailbox'
  if (first?.kind === 'phone') return 'the phone number'
  if (first?.kind === 'webhook') return first.id
  return addresses.length === 1 ? '1 device' : `${addresses.length} devices`
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
