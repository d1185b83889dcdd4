import type { Reason } from '@carillon/contracts'
import type { CelScope } from './cel.js'
import type { ChannelStep, CompiledWorkflow } from './compile.js'
import type { Facts } from './facts.js'
import { conditionProblem } from './match.js'
import type { PlannedAddress, StepOutcome } from './plan.js'
import { judgePreferences } from './preferences.js'

/** What the steps of a run are judged by. */
export interface StepInput {
  workflow: CompiledWorkflow
  facts: Facts
  /** Milliseconds. */
  now: number
  cel: CelScope
  /** Milliseconds; undefined: never. */
  expiresAt: number | undefined
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
  const preference = judgePreferences(facts, type, workflow.category ?? null)
  if (!preference.enabled)
    return skip({ reason: preference.reason ?? 'UNSUBSCRIBED', detail: preference.decidedBy })
  if (type === 'inbox') return { step: index, type, outcome: 'deliver', detail: preference.decidedBy }
  const quieter = seenRefusal(workflow, facts) ?? capRefusal(workflow, facts)
  if (quieter !== undefined) return skip(quieter)
  const addresses = addressesOf(step, facts)
  if (addresses.length === 0) return skip({ reason: 'NO_ADDRESS', detail: missingAddress(step, facts) })
  const outcome: StepOutcome = {
    step: index,
    type,
    outcome: 'deliver',
    detail: `${preference.decidedBy}; to ${described(addresses)}`,
    addresses,
  }
  if (step.options.maxAttempts !== undefined) outcome.maxAttempts = step.options.maxAttempts
  return outcome
}

/** What ends a whole run, whatever its next step is. */
export function runRefusal({ workflow, facts, now, expiresAt }: StepInput): Refusal | undefined {
  if (facts.user.status !== 'active') return { reason: 'NO_RECIPIENT', detail: 'the recipient is suspended' }
  if (facts.cancelled) return { reason: 'CANCELLED', detail: 'the run was cancelled' }
  if (expiresAt !== undefined && now >= expiresAt) {
    return { reason: 'EXPIRED', detail: `it expired after ${workflow.definition.expires}` }
  }
  return undefined
}

/** Seen anywhere ends a run that says so. */
export function seenRefusal(workflow: CompiledWorkflow, facts: Facts): Refusal | undefined {
  return workflow.definition.stop === 'seen' && facts.seenAt !== null
    ? { reason: 'ALREADY_SEEN', detail: `it was seen at ${new Date(facts.seenAt).toISOString()}` }
    : undefined
}

function conditionRefusal(step: ChannelStep, cel: CelScope): Refusal | undefined {
  const problem = step.condition === undefined ? undefined : conditionProblem(step.condition(cel))
  if (problem === undefined) return undefined
  return { reason: 'CONDITION_FALSE', detail: `the step's condition ${step.options.if} ${problem}` }
}

/** A cap demotes to the inbox; critical categories aren't capped. */
function capRefusal(workflow: CompiledWorkflow, facts: Facts): Refusal | undefined {
  const cap = workflow.definition.cap
  if (cap === undefined || facts.category?.critical === true || facts.capCount < cap.count) return undefined
  return {
    reason: 'FREQUENCY_CAPPED',
    detail: `${facts.capCount} of at most ${cap.count} per ${cap.per} have gone out; it is left to the inbox`,
  }
}

function addressesOf(step: ChannelStep, facts: Facts): PlannedAddress[] {
  if (step.type === 'email') return facts.user.email === null ? [] : [{ kind: 'email', id: facts.user.email }]
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
  if (step.type === 'webhook') return 'the step has no address'
  if (facts.devices.length === 0) return 'the recipient has no device'
  return step.options.app === undefined
    ? 'none of the devices of the recipient is active'
    : `the recipient has no active device of the app "${step.options.app}"`
}

function described(addresses: readonly PlannedAddress[]): string {
  const first = addresses[0]
  if (first?.kind === 'email') return 'the mailbox'
  if (first?.kind === 'webhook') return first.id
  return addresses.length === 1 ? '1 device' : `${addresses.length} devices`
}
