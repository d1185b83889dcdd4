import {
  cancelRuns,
  type EventRow,
  insertAwaits,
  insertDecisions,
  type StoredDelivery,
  type StoredRun,
  type Tx,
} from '@carillon/postgres'
import type { JudgedBatch } from './judge.js'
import { type DeliveryDefaults, deliveriesOf, digestRow, runRow, storedDelivery, storedRun } from './rows.js'
import { awaitsOf } from './signals.js'
import { mapInTurns } from './turns.js'

export interface WrittenRuns {
  runs: StoredRun[]
  deliveries: StoredDelivery[]
  /** Runs that wait for an event. */
  awaiting: string[]
  /** Runs that can be cancelled by key. */
  keyed: string[]
}

/**
 * Writes everything that judged runs leave behind, and their events, in the transaction that judged them. Cancels come
 * last: they also meet the runs of their own batch.
 */
export async function writeRuns(
  tx: Tx,
  { events, judged }: { events: readonly EventRow[]; judged: JudgedBatch },
  defaults: DeliveryDefaults,
): Promise<WrittenRuns> {
  const rows = await mapInTurns(judged.runs, (run) => runRow(run, run.candidate.firstSeenMs))
  const deliveries = judged.runs.flatMap(({ candidate, runId: id, rules, userId, plan }) =>
    deliveriesOf(
      { id, tenant: rules.tenant, userId, createdAtMs: candidate.firstSeenMs },
      plan,
      plan.at,
      defaults,
    ),
  )
  await insertDecisions(tx, { events, runs: [...rows, ...judged.digests.map(digestRow)], deliveries })
  const awaits = awaitsOf(judged.runs)
  await insertAwaits(tx, awaits)
  await cancelRuns(tx, judged.cancels)
  return {
    runs: rows.map((row, place) => storedRun(row, judged.runs[place]?.plan.content ?? {})),
    deliveries: deliveries.map(storedDelivery),
    awaiting: awaits.map(({ runId }) => runId),
    keyed: rows.filter((row) => row.cancelKey !== null).map((row) => row.id),
  }
}
