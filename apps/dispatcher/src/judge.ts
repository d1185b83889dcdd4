import type { DomainEvent } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  type Facts,
  type Plan,
  plan,
  planForFailure,
  planForUnknown,
  RenderError,
} from '@carillon/decisions'
import type { Tx } from '@carillon/postgres'
import { countTowardsCaps } from './caps.js'
import { lookUp } from './facts.js'
import type { Recipient } from './recipients.js'
import type { TenantRules } from './rules.js'

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

export interface Judged extends Candidate {
  plan: Plan
  /** False when the directory doesn't know the recipient. */
  known: boolean
  /** Why the event becomes a dead letter besides its failed run. */
  problem?: string
}

/** Judges every run of a batch: facts at once, plans one by one, then the caps of those that would reach somebody. */
export async function judge(tx: Tx, candidates: readonly Candidate[], now: number): Promise<Judged[]> {
  if (candidates.length === 0) return []
  const directory = await lookUp(
    tx,
    candidates.map((candidate) => ({ tenant: candidate.rules.tenant, id: candidate.recipient.userId })),
  )
  const facts = candidates.map((candidate) =>
    directory.factsOf(candidate.rules, candidate.recipient.userId, {
      category: candidate.workflow.category ?? null,
      seenAt: null,
    }),
  )
  const judged = candidates.map((candidate, place) => judgeOne(candidate, facts[place], now))
  await applyCaps(tx, judged, facts, now)
  return judged
}

function judgeOne(candidate: Candidate, facts: Facts | undefined, now: number): Judged {
  const { workflow, event, recipient } = candidate
  if (facts === undefined) {
    return {
      ...candidate,
      known: false,
      plan: planForUnknown({ event, workflow, now, recipient: recipient.name }),
    }
  }
  try {
    return { ...candidate, known: true, plan: plan({ event, workflow, facts, now }) }
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    const problem = `workflow "${workflow.key}": ${error.message}`
    return {
      ...candidate,
      known: true,
      problem,
      plan: planForFailure({ event, workflow, now, problem: error.message }),
    }
  }
}

/** Judges again, with the count, those runs whose cap was reached. */
async function applyCaps(
  tx: Tx,
  judged: Judged[],
  facts: readonly (Facts | undefined)[],
  now: number,
): Promise<void> {
  const counts = await countTowardsCaps(
    tx,
    judged.map((run) => ({
      tenant: run.rules.tenant,
      userId: run.recipient.userId,
      workflow: run.workflow,
      plan: run.plan,
    })),
    now,
  )
  counts.forEach((capCount, place) => {
    const run = judged[place] as Judged
    const known = facts[place]
    if (capCount === undefined || known === undefined) return
    if (capCount < (run.workflow.definition.cap?.count ?? 0)) return
    run.plan = plan({ event: run.event, workflow: run.workflow, facts: { ...known, capCount }, now })
  })
}
