import type { DomainEvent } from '@carillon/contracts'
import { isCancelledBy } from '../cancels.js'
import type { CompiledWorkflow } from '../compile.js'
import type { DigestItem, Facts } from '../facts.js'
import { cancelKeyOf } from '../keys.js'
import type { Plan } from '../plan.js'
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
