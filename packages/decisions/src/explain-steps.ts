import type { Reason } from '@carillon/contracts'
import type { ExplainedReason, ExplainInput } from './explain.js'
import { iso } from './explain-words.js'
import type { StepOutcome } from './plan.js'

/** One pass of a run as it is kept. */
export interface StoredPass {
  /** Milliseconds. */
  at: number
  steps: readonly StepOutcome[]
}

/** What decided, where the sentence of the step doesn't say it. */
const DECIDED_BY: Readonly<Partial<Record<Reason, string>>> = {
  THROTTLED: "the workflow's throttle decided",
  FREQUENCY_CAPPED: 'a frequency cap decided',
  ONLINE: "the step's unlessOnline decided",
  EXPIRED: "the workflow's expiry decided",
}

/** Every step of every pass, and what began each pass after the first. */
export function explainPasses(input: ExplainInput): ExplainedReason[] {
  const { passes } = input
  return passes.flatMap((pass, index) => {
    const steps = pass.steps.map((step) => explainStep(step, pass.at, nameOf(step, input)))
    const before = passes[index - 1]
    if (before === undefined || steps.length === 0) return steps
    return [...wokenBy(input, passes.slice(0, index), pass), ...steps]
  })
}

/** What a waiting run waits for, a sentence each: held steps, and what comes before its next step. */
export function pendingOf(input: ExplainInput): string[] {
  const { passes, awaits, wakeAt } = input
  const last = new Map<number, StepOutcome>()
  for (const { steps } of passes) for (const step of steps) last.set(step.step, step)
  const pending = [...last.values()]
    .filter(({ outcome }) => outcome === 'hold')
    .map((step) => `${nameOf(step, input)} is held: ${step.detail}`)
  const wait = pendingWait(passes)
  if (wait === undefined) return pending
  if (wait.type === 'digest') {
    const until = wakeAt ?? wait.at
    pending.push(`the digest is still open${until == null ? '' : `: it closes at ${iso(until)}`}`)
  } else if (awaits === undefined)
    pending.push(`The run ${wait.detail}${wait.at === undefined ? '' : `, until ${iso(wait.at)}`}`)
  else {
    const key = awaits.key === '' ? '' : ` with the key "${awaits.key}"`
    pending.push(
      `The run waits for the event ${awaits.type}${key}${wait.at === undefined ? '' : ` until ${iso(wait.at)}`}`,
    )
  }
  return pending
}

/** The wait after which no step has been judged. */
function pendingWait(passes: readonly StoredPass[]): StepOutcome | undefined {
  const all = passes.flatMap(({ steps }) => steps)
  const place = all.findLastIndex(({ outcome }) => outcome === 'wait')
  const wait = all[place]
  return wait === undefined || all.slice(place + 1).some(({ step }) => step > wait.step) ? undefined : wait
}

function nameOf(step: StepOutcome, { stepNames }: ExplainInput): string {
  return `${stepNames?.get(step.step) ?? `step ${step.step + 1}`} (${step.type})`
}

function explainStep(step: StepOutcome, at: number, name: string): ExplainedReason {
  const { detail, reason } = step
  const of = reason === undefined ? {} : { reason }
  if (step.outcome === 'deliver') return { at, what: `${name} was sent on its way`, why: detail }
  if (step.outcome === 'wait') {
    const until = step.at === undefined || / until /.test(detail) ? '' : `, until ${iso(step.at)}`
    return { at, what: `${name} began to wait`, why: `${detail}${until}` }
  }
  if (step.outcome === 'pass') return { at, what: `${name} was passed`, why: detail }
  if (step.outcome === 'digest') return { at, what: `${name} gathers`, why: detail, reason: 'DIGESTED' }
  if (step.outcome === 'hold')
    return { at, what: `${name} is held until ${iso(step.at ?? at)}`, why: detail, ...of }
  const layer = reason === undefined ? undefined : DECIDED_BY[reason]
  return { at, what: `${name} was skipped`, why: layer === undefined ? detail : `${layer}: ${detail}`, ...of }
}

function wokenBy(input: ExplainInput, before: readonly StoredPass[], pass: StoredPass): ExplainedReason[] {
  const wait = pendingWait(before)
  const begun = before.at(-1)?.at ?? 0
  const say = (why: string): ExplainedReason[] => [{ at: pass.at, what: 'the run went on', why }]
  const goesOn = wait !== undefined && pass.steps.some(({ step }) => step > wait.step)
  if (!goesOn) return say('the time of what was held had come')
  if (wait.type === 'digest') return say('the window of the digest closed')
  const event = input.woken?.find(({ at }) => at >= begun && at <= pass.at)
  if (event !== undefined) return say(`the event ${event.type} (${event.id}) came, for which it waited`)
  if (wait.at !== undefined && pass.at >= wait.at) return say('its wait was over')
  const { seenAt, cancelled } = input
  if (seenAt != null && seenAt <= pass.at) return say('it was seen')
  if (cancelled !== undefined && cancelled.at <= pass.at) return say('it was cancelled')
  return say('what it waited for had happened')
}
