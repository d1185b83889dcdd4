import type { Reason, RunState } from '@carillon/contracts'
import { type ExplainedDelivery, explainDelivery } from './explain-deliveries.js'
import { explainPasses, pendingOf, type StoredPass } from './explain-steps.js'
import { counted, iso, STATE_WORDS, sentence } from './explain-words.js'

/** A run as it was stored, with everything that became of it. Moments are milliseconds. */
export interface ExplainInput {
  event: { type: string; id: string; source: string; seenAt: number }
  workflow: { key: string; version: number }
  recipient: string
  state: RunState
  reason?: Reason | null
  /** One entry per pass: at the event, and after each wait. */
  passes: readonly StoredPass[]
  /** What people call the steps, by flat position; without it, and for unknown positions, they are numbered. */
  stepNames?: ReadonlyMap<number, string>
  deliveries: readonly ExplainedDelivery[]
  seenAt?: number | null
  readAt?: number | null
  /** When it is looked at again. */
  wakeAt?: number | null
  /** The event that it waits for, while it does. */
  awaits?: { type: string; key: string }
  /** Events that it had waited for. */
  woken?: readonly { type: string; id: string; at: number }[]
  /** A cancel that holds for it. `by`: who, like `API key 123`. */
  cancelled?: { key: string; at: number; by?: string }
  /** The digest that it went into. */
  digest?: { id: string; story: Explanation }
  /** What it gathered, when it is a digest; those that are left out say why. */
  gathered?: readonly GatheredItem[]
  /** Told as a part of its event's story, which has said how the event arrived. */
  withinEvent?: boolean
}

export interface GatheredItem {
  run: string
  event: string
  type: string
  at: number
  leftOut?: string
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
  const reasons = inOrder([
    beginning(input),
    ...gathering(input),
    ...explainPasses(input),
    ...input.deliveries.flatMap((delivery) => explainDelivery(delivery, passOf(input, delivery.step))),
    ...cancelling(input),
    ...moment(input.seenAt, 'it was seen'),
    ...moment(input.readAt, 'it was read'),
  ])
  const sentences = reasons.map(({ what, why }) => sentence(`${what}: ${why}`))
  const own = [...sentences, ...ending(input)].join(' ')
  const { digest } = input
  if (digest === undefined) return { text: own, reasons }
  return { text: `${own} ${digest.story.text}`, reasons: inOrder([...reasons, ...digest.story.reasons]) }
}

function inOrder(reasons: readonly ExplainedReason[]): ExplainedReason[] {
  return reasons
    .map((reason, index) => ({ reason, index }))
    .sort((a, b) => a.reason.at - b.reason.at || a.index - b.index)
    .map(({ reason }) => reason)
}

function beginning(input: ExplainInput): ExplainedReason {
  const { event, workflow, recipient, gathered, passes } = input
  if (gathered !== undefined) {
    return {
      at: passes[0]?.at ?? event.seenAt,
      what: `a digest of workflow "${workflow.key}" version ${workflow.version} opened for ${recipient}`,
      why: `the event ${event.type} (${event.id}) was its first`,
    }
  }
  if (input.withinEvent === true) {
    const what = `workflow "${workflow.key}" version ${workflow.version} matched it for ${recipient}`
    return { at: event.seenAt, what, why: `it listens to ${event.type}, and nothing stands against it` }
  }
  return {
    at: event.seenAt,
    what: `the event ${event.type} (${event.id}) arrived from ${event.source}`,
    why: `workflow "${workflow.key}" version ${workflow.version} matched it for ${recipient}`,
  }
}

/** Most items of a digest that the paragraph names. */
const MOST_ITEMS = 5

function gathering({ gathered, passes, state }: ExplainInput): ExplainedReason[] {
  if (gathered === undefined) return []
  const told = gathered.filter(({ leftOut }) => leftOut === undefined)
  const names = gathered.slice(0, MOST_ITEMS).map(({ event }) => event)
  const more = gathered.length > names.length ? ` and ${gathered.length - names.length} more` : ''
  const at = passes[1]?.at ?? gathered.at(-1)?.at ?? passes[0]?.at ?? 0
  const left = gathered
    .filter(({ leftOut }) => leftOut !== undefined)
    .map(({ event, leftOut }) => ({
      at,
      what: `the item ${event} is left out of the digest`,
      why: `${leftOut}`,
    }))
  return [
    {
      at,
      what: `the digest ${state === 'waiting' ? 'has gathered' : 'gathered'} ${counted(gathered.length, 'item')}`,
      why: `${names.join(', ')}${more}${left.length === 0 ? '' : `; ${told.length} of them ${told.length === 1 ? 'is' : 'are'} told`}`,
    },
    ...left,
  ]
}

/** When the pass was judged that sent a step on its way. */
function passOf(input: ExplainInput, step: number): number {
  const pass = input.passes.findLast(({ steps }) =>
    steps.some((outcome) => outcome.step === step && outcome.outcome === 'deliver'),
  )
  return pass?.at ?? input.event.seenAt
}

function cancelling({ cancelled }: ExplainInput): ExplainedReason[] {
  if (cancelled === undefined) return []
  const why = `${cancelled.by ?? 'somebody'} cancelled the key "${cancelled.key}"`
  return [{ at: cancelled.at, what: 'a cancel came', why, reason: 'CANCELLED' }]
}

function moment(at: number | null | undefined, what: string): ExplainedReason[] {
  return at === null || at === undefined ? [] : [{ at, what, why: 'in the inbox or on a device' }]
}

function ending(input: ExplainInput): string[] {
  const { state, reason, digest } = input
  if (state === 'waiting') {
    const pending = pendingOf(input)
    if (pending.length > 0) return pending.map(sentence)
  }
  if (state === 'digested' && digest !== undefined)
    return [sentence(`it went into the digest ${digest.id}, which has a story of its own`)]
  const why = reason === null || reason === undefined ? '' : ` (${reason})`
  const until = state === 'waiting' && input.wakeAt ? `, until ${iso(input.wakeAt)}` : ''
  return [sentence(`The run ${STATE_WORDS[state]}${why}${until}`)]
}
