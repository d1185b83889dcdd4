import type { DomainEvent } from '@carillon/contracts'
import { isCancelledBy } from '../cancels.js'
import type { CompiledWorkflow } from '../compile.js'
import { planForFailure } from '../ended-plans.js'
import { RenderError } from '../errors.js'
import type { DigestItem, Facts } from '../facts.js'
import { cancelKeyOf } from '../keys.js'
import { type Plan, type PlanInput, plan } from '../plan.js'
import type { Decision } from './decision.js'

/** A run in memory: what rows hold between its passes. */
export interface ReplayRun {
  id: string
  event: DomainEvent
  workflow: CompiledWorkflow
  recipient: string
  /** Milliseconds. */
  begunAt: number
  /** From when `expires` counts: what a digest sends expires after it was closed. */
  expiresFrom: number
  /** The last pass. */
  plan: Plan
  passes: Decision['passes']
  content: Plan['content']
  inInbox: boolean
  /** Caps count a run once. */
  counted: boolean
  seenAt: number | null
  awaited: Facts['awaited']
  cancelKey: string | undefined
  /** When its own event cancelled it. */
  cancelledWithin: number | undefined
  /** What the digest gathered that this run carries. */
  items: ReplayRun[] | undefined
  digestKey: string
  digestId: string | undefined
  /** When it is looked at again; undefined: never, or right now. */
  wakeAt: number | undefined
}

export function beginRun(
  begun: Pick<ReplayRun, 'id' | 'event' | 'workflow' | 'recipient' | 'begunAt'>,
  digest?: { key: string; item: ReplayRun },
): ReplayRun {
  return {
    ...begun,
    expiresFrom: begun.begunAt,
    plan: EMPTY,
    passes: [],
    content: {},
    inInbox: false,
    counted: false,
    seenAt: null,
    awaited: undefined,
    // a digest isn't cancelled as a whole: its items are, one by one
    cancelKey: digest === undefined ? cancelKeyOf(begun.event, begun.workflow) : undefined,
    cancelledWithin: undefined,
    items: digest === undefined ? undefined : [digest.item],
    digestKey: digest?.key ?? '',
    digestId: undefined,
    wakeAt: undefined,
  }
}

const EMPTY: Plan = {
  state: 'queued',
  at: 0,
  steps: [],
  content: {},
  inInbox: false,
  lane: 'normal',
  category: null,
}

/** When a run was cancelled by its key, whichever of the two came first; null when it wasn't. */
export function cancelledAt(run: ReplayRun, cancels: ReadonlyMap<string, number>): number | null {
  if (run.cancelKey === undefined) return null
  if (run.cancelledWithin !== undefined) return run.cancelledWithin
  const at = cancels.get(cancelName(run.workflow.key, run.cancelKey))
  if (at === undefined) return null
  return isCancelledBy(at, { firstSeenMs: run.begunAt, time: run.event.time }) ? at : null
}

export function cancelName(workflow: string, key: string): string {
  return `${workflow} ${key}`
}

/** When what a run cancels was cancelled: as its event says, unless its clock is ahead. */
export function momentOfCancel(run: ReplayRun): number {
  const happened = Date.parse(run.event.time ?? '')
  return Number.isNaN(happened) ? run.begunAt : Math.min(happened, run.begunAt)
}

/** The runs that a digest gathered; of a digest that went into another one, its own items. */
export function gathered(run: ReplayRun): ReplayRun[] {
  return (run.items ?? []).flatMap((item) => (item.items === undefined ? [item] : gathered(item)))
}

/** What a digest tells: cancelled or seen as a whole when all of its items are. */
export function addDigest(facts: Facts, run: ReplayRun, cancels: ReadonlyMap<string, number>): void {
  const all = gathered(run)
  const ends = run.workflow.definition.stop === 'seen'
  const told = all.filter((item) => cancelledAt(item, cancels) === null && !(ends && item.seenAt !== null))
  facts.digest = { key: run.digestKey, items: told.map(digestItem) }
  if (told.length > 0) return
  const seen = all.map(({ seenAt }) => seenAt).filter((at) => at !== null)
  if (seen.length > 0) facts.seenAt ??= Math.max(...seen)
  else facts.cancelledAt = Math.max(...all.map((item) => cancelledAt(item, cancels) ?? 0))
}

export function digestItem({ id, event }: ReplayRun): DigestItem {
  const { type, source, subject = null, time = null, data } = event
  return { run: id, event: { id: event.id, type, source, subject, time }, data }
}

/** Judges, or makes the run a failed one that names what is missing. */
export function judgeOrFail(input: PlanInput, judge: () => Plan = () => plan(input)): Plan {
  try {
    return judge()
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    const { event, workflow, now } = input
    return planForFailure({ event, workflow, now, problem: error.message })
  }
}

/** True when a plan sends something beyond the inbox. */
export function sends({ steps }: Pick<Plan, 'steps'>): boolean {
  return steps.some((step) => step.outcome === 'deliver' && step.type !== 'inbox')
}

/** Two parts of one pass: up to a digest that lets its first item go on at once, and what comes after it. */
export function joinParts(earlier: Plan, later: Plan): Plan {
  const { digest: _digest, reason: _reason, ...kept } = earlier
  const passed = earlier.steps.map((step) =>
    step.outcome === 'digest'
      ? {
          step: step.step,
          type: step.type,
          outcome: 'pass' as const,
          detail: 'the first one goes on at once',
        }
      : step,
  )
  const joined: Plan = {
    ...kept,
    ...later,
    steps: [...passed, ...later.steps],
    content: { ...earlier.content, ...later.content },
    inInbox: earlier.inInbox || later.inInbox,
  }
  const cancels = [...(earlier.cancels ?? []), ...(later.cancels ?? [])]
  if (cancels.length > 0) joined.cancels = cancels
  const held = [...(earlier.held ?? []), ...(later.held ?? [])]
  if (held.length > 0) {
    joined.held = held
    joined.wakeAt = Math.min(...held.map(({ at }) => at), joined.resumeAt ?? Number.POSITIVE_INFINITY)
    joined.state = 'waiting'
  }
  return joined
}
