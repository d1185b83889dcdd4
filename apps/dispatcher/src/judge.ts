import { type DomainEvent, runId } from '@carillon/contracts'
import {
  type Calendar,
  type CompiledWorkflow,
  type Conditions,
  cancelKeyOf,
  type Facts,
  isCancelledBy,
  type Plan,
  plan,
  planForUnknown,
} from '@carillon/decisions'
import { type CancelRow, loadCancels, type Tx, type UserKey } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { type AskOnline, lookUp } from './facts.js'
import type { DigestRun } from './gathering.js'
import type { Recipient } from './recipients.js'
import type { TenantRules } from './rules.js'
import { settle } from './settle.js'
import { judgeInto, type Settling } from './settling.js'
import { mapInTurns } from './turns.js'

/** One run to be judged: one workflow, one event, one recipient. */
export interface Candidate {
  rules: TenantRules
  workflow: CompiledWorkflow
  event: DomainEvent
  /** Row id of the event. */
  eventRow: string
  firstSeenMs: number
  /** Place of the event in its batch. */
  index: number
  recipient: Recipient
}

export interface Judged extends Settling {
  candidate: Candidate
  /** False when the directory doesn't know the recipient. */
  known: boolean
}

export interface JudgedBatch {
  runs: Judged[]
  /** Digests that these runs opened: runs of their own. */
  digests: DigestRun[]
  /** Cancels that these runs ordered. */
  cancels: CancelRow[]
}

export interface JudgeDeps {
  calendar: Calendar
  conditions: Conditions
  online: AskOnline
  now: () => number
}

/**
 * Judges every run of a batch: facts and cancels at once, plans one by one, then what is counted and gathered. In the
 * transaction that writes the rows.
 */
export async function judge(tx: Tx, candidates: readonly Candidate[], deps: JudgeDeps): Promise<JudgedBatch> {
  if (candidates.length === 0) return { runs: [], digests: [], cancels: [] }
  const now = deps.now()
  const directory = await lookUp(
    tx,
    {
      users: candidates.map(keyOfUser),
      // rows of devices are a fifth of what is read, and only push needs them
      pushed: candidates
        .filter(({ workflow }) => workflow.steps.some(({ type }) => type === 'push'))
        .map(keyOfUser),
      asked: candidates.filter(({ workflow }) => workflow.asksOnline).map(keyOfUser),
    },
    deps,
  )
  const cancelled = await cancelledAmong(tx, candidates)
  const runs = await mapInTurns(candidates, (candidate, place) => {
    const facts = directory.factsOf(candidate.rules, candidate.recipient.userId, {
      category: candidate.workflow.category ?? null,
      seenAt: null,
      cancelledAt: cancelled[place] ?? null,
    })
    return judgeOne(candidate, facts, { now, calendar: deps.calendar })
  })
  cancelWithin(runs)
  const digests = await settle(tx, runs)
  return { runs, digests, cancels: runs.flatMap((run) => cancelsOf(run)) }
}

function keyOfUser({ rules, recipient }: Candidate): UserKey {
  return { tenant: rules.tenant, id: recipient.userId }
}

function judgeOne(
  candidate: Candidate,
  facts: Facts | undefined,
  { now, calendar }: { now: number; calendar: Calendar },
): Judged {
  const { workflow, event, recipient, firstSeenMs, eventRow, rules } = candidate
  const id = runId(sha256, { firstSeenMs, eventRow, workflow: workflow.key, recipient: recipient.userId })
  const run: Judged = {
    candidate,
    runId: id,
    eventRow,
    userId: recipient.userId,
    recipient: recipient.name,
    rules,
    workflow,
    known: facts !== undefined,
    input: facts === undefined ? undefined : { event, workflow, facts, now, calendar, begunAt: firstSeenMs },
    plan: UNJUDGED,
    countedBefore: false,
    digestId: null,
    digestPlace: null,
  }
  const { input } = run
  if (input === undefined) run.plan = planForUnknown({ event, workflow, now, recipient: recipient.name })
  else judgeInto(run, () => plan(input))
  return run
}

/** Stands where a plan is about to be. */
const UNJUDGED: Plan = {
  state: 'queued',
  at: 0,
  steps: [],
  content: {},
  inInbox: false,
  lane: 'normal',
  category: null,
}

/** When the key of each candidate was cancelled, whichever of the two came first. */
async function cancelledAmong(tx: Tx, candidates: readonly Candidate[]): Promise<(number | undefined)[]> {
  const keys = candidates.map(({ event, workflow }) => cancelKeyOf(event, workflow))
  if (!keys.some((key) => key !== undefined)) return []
  const at = await loadCancels(
    tx,
    candidates.map(({ rules, workflow }, place) => ({
      tenant: rules.tenant,
      workflowKey: workflow.key,
      key: keys[place] ?? '',
    })),
  )
  return candidates.map(({ event, firstSeenMs }, place) => {
    const moment = at[place]
    if (moment === undefined || keys[place] === undefined) return undefined
    return isCancelledBy(moment, { firstSeenMs, time: event.time }) ? moment : undefined
  })
}

/** The cancels of this batch hold for its own runs too: in the table they stand only when it has committed. */
function cancelWithin(runs: readonly Judged[]): void {
  const cancels = runs.flatMap((run) => cancelsOf(run))
  if (cancels.length === 0) return
  for (const run of runs) {
    const { cancelKey } = run.plan
    if (cancelKey === undefined || run.input === undefined) continue
    const { event, firstSeenMs } = run.candidate
    const met = cancels.find(
      ({ tenant, workflowKey, key, atMs }) =>
        tenant === run.rules.tenant &&
        workflowKey === run.workflow.key &&
        key === cancelKey &&
        isCancelledBy(atMs, { firstSeenMs, time: event.time }),
    )
    if (met === undefined) continue
    const input = { ...run.input, facts: { ...run.input.facts, cancelledAt: met.atMs } }
    run.input = input
    judgeInto(run, () => plan(input))
  }
}

/** What a run cancels, at the time at which its event says that it happened. */
export function cancelsOf(run: Settling): CancelRow[] {
  const { plan: judged, input, rules } = run
  if (judged.cancels === undefined || input === undefined) return []
  const firstSeen = input.begunAt ?? input.now
  const happened = Date.parse(input.event.time ?? '')
  // a publisher's clock that is ahead must not cancel what comes after
  const atMs = Number.isNaN(happened) ? firstSeen : Math.min(happened, firstSeen)
  return judged.cancels.map(({ workflow, key }) => ({
    tenant: rules.tenant,
    workflowKey: workflow,
    key,
    atMs,
  }))
}
