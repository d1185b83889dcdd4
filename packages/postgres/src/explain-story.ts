import { lowestIdAt, type Reason, type RunState, timeOfId } from '@carillon/contracts'
import { plainArray, textArray } from './arrays.js'
import { RUN, type RunRecord } from './explain.js'
import type { Tx } from './tx.js'

/** What a run waited for, what a digest gathered, who cancelled, how many an event told. Request role, one tenant. */

interface RunsOf {
  tenant: string
  ids: readonly string[]
}

/** Some runs by their ids, in no order. */
export async function runsById(tx: Tx, { tenant, ids }: RunsOf): Promise<RunRecord[]> {
  if (ids.length === 0) return []
  const { rows } = await tx.query<RunRecord>({
    text: `SELECT ${RUN} FROM runs WHERE tenant_id = $1 AND id = ANY ($2::uuid[])`,
    values: [tenant, plainArray(ids)],
  })
  return rows
}

export interface RunCount {
  workflow: string
  version: number
  state: RunState
  reason: Reason | null
  count: number
}

/** How an event's runs stand, by workflow, state and reason. At most `limit` runs are looked at. */
export async function countRuns(
  tx: Tx,
  of: { tenant: string; eventId: string; limit: number },
): Promise<RunCount[]> {
  const firstSeenMs = timeOfId(of.eventId)
  const { rows } = await tx.query<RunCount>({
    text: `SELECT workflow, version, state, reason, count(*)::int AS count FROM (
        SELECT workflow_key AS workflow, workflow_version AS version, state, reason FROM runs
        WHERE tenant_id = $1 AND event_id = $2 AND id >= $3 AND id < $4 LIMIT $5
      ) AS looked GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, count(*) DESC, 3, 4`,
    values: [of.tenant, of.eventId, lowestIdAt(firstSeenMs), lowestIdAt(firstSeenMs + 1), of.limit],
  })
  return rows
}

/** The event that a run waits for now, with its key. */
export interface AwaitsRecord {
  runId: string
  type: string
  key: string
  since: Date
}

export async function awaitsOf(tx: Tx, { tenant, ids }: RunsOf): Promise<AwaitsRecord[]> {
  const { rows } = await tx.query<AwaitsRecord>({
    text: `SELECT run_id AS "runId", type, key, since FROM awaits
      WHERE tenant_id = $1 AND run_id = ANY ($2::uuid[])`,
    values: [tenant, plainArray(ids)],
  })
  return rows
}

/** An event that somebody waited for, since a moment. */
export interface WaitedFor {
  runId: string
  type: string
  expression: string
  key: string
  since: Date
}

/** The first events that came for those who waited, as far as they are kept; `eventId` is the publisher's id. */
export async function signalsFor(
  tx: Tx,
  { tenant, waited }: { tenant: string; waited: readonly WaitedFor[] },
): Promise<{ runId: string; type: string; eventId: string; at: Date }[]> {
  if (waited.length === 0) return []
  const { rows } = await tx.query<{ runId: string; type: string; eventId: string; at: Date }>({
    text: `SELECT w.run AS "runId", w.type, came.event_id AS "eventId", came.at
      FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) AS w (run, type, expression, key, since),
        LATERAL (SELECT e.event_id, s.first_seen AS at FROM signals s JOIN events e ON e.tenant_id = $1 AND e.id = s.event_id
          WHERE s.tenant_id = $1 AND s.type = w.type AND s.expression = w.expression AND s.key = w.key
            AND s.first_seen >= w.since ORDER BY s.first_seen, s.event_id LIMIT 1) AS came`,
    values: [
      tenant,
      plainArray(waited.map((one) => one.runId)),
      textArray(waited.map((one) => one.type)),
      textArray(waited.map((one) => one.expression)),
      textArray(waited.map((one) => one.key)),
      textArray(waited.map((one) => one.since.toISOString())),
    ],
  })
  return rows
}

/** A run that went into a digest, with what is kept of its event. */
export interface GatheredRecord {
  digestId: string
  runId: string
  workflowKey: string
  state: RunState
  seenAt: Date | null
  cancelKey: string | null
  createdAt: Date
  eventId: string | null
  type: string | null
  time: string | null
}

/** What digests gathered, oldest first; at most `limit` items. */
export async function gatheredBy(
  tx: Tx,
  { tenant, ids, limit }: RunsOf & { limit: number },
): Promise<GatheredRecord[]> {
  if (ids.length === 0) return []
  const { rows } = await tx.query<GatheredRecord>({
    text: `SELECT r.digest_id AS "digestId", r.id AS "runId", r.workflow_key AS "workflowKey", r.state, r.seen_at AS "seenAt",
        r.cancel_key AS "cancelKey", r.created_at AS "createdAt", e.event_id AS "eventId", e.type, e.time
      FROM runs r LEFT JOIN events e ON e.tenant_id = $1 AND e.id = r.event_id
      WHERE r.tenant_id = $1 AND r.digest_id = ANY ($2::uuid[]) ORDER BY r.digest_id, r.digest_place, r.id LIMIT $3`,
    values: [tenant, plainArray(ids), limit],
  })
  return rows
}

/**
 * Facts of the trail about cancels near a moment, newest first. Only the last 20,000 facts are looked through, so that
 * asking stays cheap. `fact` is JSON text.
 */
export async function cancelFacts(tx: Tx, near: { tenant: string; at: Date }): Promise<string[]> {
  const { rows } = await tx.queryArrays<[string]>({
    text: `SELECT fact FROM audit
      WHERE tenant_id = $1 AND sequence > (SELECT max(sequence) - 20000 FROM audit WHERE tenant_id = $1)
        AND recorded_at BETWEEN $2::timestamptz - interval '1 minute' AND $2::timestamptz + interval '1 hour'
        AND fact LIKE '%"workflows.cancelled"%' ORDER BY sequence DESC LIMIT 100`,
    values: [near.tenant, near.at],
  })
  return rows.map(([fact]) => fact)
}

/** When a chunk of a fan-out was done; undefined when it isn't. */
export async function chunkDoneAt(
  tx: Tx,
  chunk: { tenant: string; eventId: string; workflow: string; chunk: number },
): Promise<Date | undefined> {
  const { rows } = await tx.query<{ at: Date }>({
    text: `SELECT done_at AS at FROM fanout_chunks
      WHERE tenant_id = $1 AND event_id = $2 AND workflow_key = $3 AND chunk = $4`,
    values: [chunk.tenant, chunk.eventId, chunk.workflow, chunk.chunk],
  })
  return rows[0]?.at
}
