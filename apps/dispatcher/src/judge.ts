import { type DomainEvent, runId } from '@carillon/contracts'
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
import { sha256 } from '@carillon/service'
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

export interface Judged {
  candidate: Candidate
  /** Derived id of the run: it meets itself on every pass. */
  id: string
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
  const { workflow, event, recipient, firstSeenMs, eventRow } = candidate
  const id = runId(sha256, { firstSeenMs, eventRow, workflow: workflow.key, recipient: recipient.userId })
  if (facts === undefined) {
    const skipped = planForUnknown({ event, workflow, now, recipient: recipient.name })
    return { candidate, id, known: false, plan: skipped }
  }
  try {
    return { candidate, id, known: true, plan: plan({ event, workflow, facts, now }) }
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    const failed = planForFailure({ event, workflow, now, problem: error.message })
    return {
      candidate,
      id,
      known: true,
      plan: failed,
      problem: `workflow "${workflow.key}": ${error.message}`,
    }
  }
}

/** Judges again, with the count, those runs whose cap was reached. */
async function applyCaps(
  tx: Tx,
  judged: readonly Judged[],
  facts: readonly (Facts | undefined)[],
  now: number,
): Promise<void> {
  if (!judged.some(({ candidate }) => candidate.workflow.definition.cap !== undefined)) return
  const counts = await countTowardsCaps(
    tx,
    judged.map(({ candidate, plan: judgedPlan }) => ({
      tenant: candidate.rules.tenant,
      userId: candidate.recipient.userId,
      workflow: candidate.workflow,
      plan: judgedPlan,
    })),
    now,
  )
  counts.forEach((capCount, place) => {
    const run = judged[place] as Judged
    const known = facts[place]
    const { workflow, event } = run.candidate
    if (capCount === undefined || known === undefined) return
    if (capCount < (workflow.definition.cap?.count ?? 0)) return
    run.plan = plan({ event, workflow, facts: { ...known, capCount }, now })
  })
}
