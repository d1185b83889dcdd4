import type { Lane } from '@carillon/contracts'
import { plainArray, textArray } from './arrays.js'
import { STORED_RUN, type StoredDelivery, type StoredRun } from './dispatch-rows.js'
import type { Tx } from './tx.js'

/** Large audiences, told in chunks: each chunk commits once, together with the rows that it writes. Worker role. */

export interface FanoutRow {
  /** Row id of the event. */
  eventId: string
  tenant: string
  workflowKey: string
  workflowVersion: number
  lane: Lane
  chunks: number
}

/** A fan-out with chunks that nobody has done yet. */
export interface OpenFanout extends FanoutRow {
  missing: number[]
}

/** Writes fan-outs in the transaction of their events. `dueInMs`: when the waker looks whether their chunks came. */
export async function insertFanouts(tx: Tx, fanouts: readonly FanoutRow[], dueInMs: number): Promise<void> {
  if (fanouts.length === 0) return
  await tx.query({
    text: `INSERT INTO fanouts (event_id, tenant_id, workflow_key, workflow_version, lane, chunks, due_at, created_at)
      SELECT e, t, k, v, l, c, now() + make_interval(secs => $7 / 1000.0), now()
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::int[]) AS n (e, t, k, v, l, c)
      ON CONFLICT DO NOTHING`,
    values: [
      plainArray(fanouts.map((fanout) => fanout.eventId)),
      textArray(fanouts.map((fanout) => fanout.tenant)),
      textArray(fanouts.map((fanout) => fanout.workflowKey)),
      plainArray(fanouts.map((fanout) => fanout.workflowVersion)),
      textArray(fanouts.map((fanout) => fanout.lane)),
      plainArray(fanouts.map((fanout) => fanout.chunks)),
      dueInMs,
    ],
  })
}

/** Fan-outs of events that came again and aren't finished, with the chunks that are missing. */
export async function openFanouts(tx: Tx, eventIds: readonly string[]): Promise<OpenFanout[]> {
  const { rows } = await tx.query<OpenFanout>({
    text: `SELECT ${OPEN} FROM fanouts f WHERE f.event_id = ANY ($1::uuid[]) AND f.due_at IS NOT NULL`,
    values: [plainArray(eventIds)],
  })
  return rows
}

/** Claims fan-outs that are due, for `againMs`, and gives their missing chunks; none: it only has to be finished. */
export async function claimDueFanouts(
  tx: Tx,
  options: { limit: number; againMs: number },
): Promise<OpenFanout[]> {
  const { rows } = await tx.query<OpenFanout>({
    name: 'wake-claim-fanouts',
    text: `WITH due AS (
        SELECT event_id, workflow_key FROM fanouts WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
      ), f AS (
        UPDATE fanouts SET due_at = now() + make_interval(secs => $2 / 1000.0)
        WHERE (event_id, workflow_key) IN (SELECT event_id, workflow_key FROM due) RETURNING *
      )
      SELECT ${OPEN} FROM f`,
    values: [options.limit, options.againMs],
  })
  return rows
}

const OPEN = `f.event_id AS "eventId", f.tenant_id AS tenant, f.workflow_key AS "workflowKey",
  f.workflow_version AS "workflowVersion", f.lane, f.chunks, ARRAY(
    SELECT g FROM generate_series(0, f.chunks - 1) AS g
    EXCEPT SELECT chunk FROM fanout_chunks c WHERE c.event_id = f.event_id AND c.workflow_key = f.workflow_key
    ORDER BY 1
  ) AS missing`

export interface FanoutKey {
  eventId: string
  workflowKey: string
}

/** What a chunk is judged from: the version that its fan-out began with, and the event as it came. */
export interface ChunkSource {
  fanout: FanoutRow
  /** Null when it is no longer kept. */
  event: {
    eventId: string
    source: string
    type: string
    subject: string | null
    time: string | null
    lane: Lane
    data: unknown
    firstSeenMs: number
  } | null
}

/** Undefined for a fan-out that isn't known. */
export async function findFanout(tx: Tx, key: FanoutKey): Promise<ChunkSource | undefined> {
  type Found = FanoutRow & Pick<ChunkSource, 'event'>
  const { rows } = await tx.query<Found>({
    name: 'fanout-find',
    text: `SELECT f.event_id AS "eventId", f.tenant_id AS tenant, f.workflow_key AS "workflowKey",
        f.workflow_version AS "workflowVersion", f.lane, f.chunks,
        (SELECT json_build_object('eventId', e.event_id, 'source', e.source, 'type', e.type, 'subject', e.subject, 'time', e.time,
           'lane', e.lane, 'data', e.data, 'firstSeenMs', (extract(epoch FROM e.first_seen) * 1000)::float8)
         FROM events e WHERE e.id = f.event_id) AS event
      FROM fanouts f WHERE f.event_id = $1 AND f.workflow_key = $2`,
    values: [key.eventId, key.workflowKey],
  })
  if (rows[0] === undefined) return undefined
  const { event, ...fanout } = rows[0]
  return { fanout, event }
}

/** Claims a chunk in the transaction that writes its rows. When another transaction has done it: when that was. */
export async function claimChunk(
  tx: Tx,
  chunk: FanoutKey & { chunk: number; tenant: string },
): Promise<{ fresh: true } | { fresh: false; doneAtMs: number }> {
  const { rowCount } = await tx.query({
    name: 'fanout-claim-chunk',
    text: `INSERT INTO fanout_chunks (event_id, workflow_key, chunk, tenant_id, runs, done_at)
      VALUES ($1, $2, $3, $4, 0, now()) ON CONFLICT DO NOTHING`,
    values: [chunk.eventId, chunk.workflowKey, chunk.chunk, chunk.tenant],
  })
  if (rowCount === 1) return { fresh: true }
  const { rows } = await tx.queryArrays<[number]>({
    text: `SELECT (extract(epoch FROM done_at) * 1000)::float8 FROM fanout_chunks
      WHERE event_id = $1 AND workflow_key = $2 AND chunk = $3`,
    values: [chunk.eventId, chunk.workflowKey, chunk.chunk],
  })
  return { fresh: false, doneAtMs: rows[0]?.[0] ?? 0 }
}

/** Says how many a chunk told, in the transaction that claimed it. */
export async function countChunk(tx: Tx, chunk: FanoutKey & { chunk: number; runs: number }): Promise<void> {
  await tx.query({
    name: 'fanout-count-chunk',
    text: 'UPDATE fanout_chunks SET runs = $4 WHERE event_id = $1 AND workflow_key = $2 AND chunk = $3',
    values: [chunk.eventId, chunk.workflowKey, chunk.chunk, chunk.runs],
  })
}

/** Finishes a fan-out whose chunks have all committed. After the commit of a chunk, so that the last one sees all. */
export async function finishFanout(tx: Tx, key: FanoutKey): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'fanout-finish',
    text: `UPDATE fanouts f SET due_at = NULL, finished_at = now()
      WHERE event_id = $1 AND workflow_key = $2 AND due_at IS NOT NULL
        AND chunks = (SELECT count(*) FROM fanout_chunks c WHERE c.event_id = f.event_id AND c.workflow_key = f.workflow_key)`,
    values: [key.eventId, key.workflowKey],
  })
  return rowCount === 1
}

/** Gives up a fan-out that can't go on: its event, its workflow or its tenant is gone. True for whoever does it first. */
export async function giveUpFanout(tx: Tx, key: FanoutKey): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'UPDATE fanouts SET due_at = NULL WHERE event_id = $1 AND workflow_key = $2 AND due_at IS NOT NULL',
    values: [key.eventId, key.workflowKey],
  })
  return rowCount === 1
}

/** Rows of these runs that were stored on an earlier pass and may not have been published. */
export async function loadStoredRuns(
  tx: Tx,
  ids: readonly string[],
): Promise<{ runs: StoredRun[]; deliveries: StoredDelivery[] }> {
  if (ids.length === 0) return { runs: [], deliveries: [] }
  const runs = await tx.query<StoredRun>({
    text: `SELECT ${STORED_RUN} FROM runs WHERE id = ANY ($1::uuid[])`,
    values: [plainArray(ids)],
  })
  const deliveries = await tx.query<StoredDelivery>({
    text: `SELECT run_id AS "runId", id, tenant_id AS tenant, channel, lane FROM deliveries
      WHERE run_id = ANY ($1::uuid[]) AND status = 'queued'`,
    values: [plainArray(ids)],
  })
  return { runs: runs.rows, deliveries: deliveries.rows }
}

/** How far a fan-out is. */
export interface FanoutProgress {
  workflow: string
  version: number
  lane: Lane
  chunks: number
  done: number
  /** Told so far. */
  recipients: number
  startedAt: Date
  finishedAt: Date | null
}

/** The fan-outs of one event, by workflow (request role). */
export async function fanoutsOfEvent(
  tx: Tx,
  event: { tenant: string; id: string },
): Promise<FanoutProgress[]> {
  const { rows } = await tx.query<FanoutProgress>({
    text: `SELECT f.workflow_key AS workflow, f.workflow_version AS version, f.lane, f.chunks, count(c.chunk)::int AS done,
        coalesce(sum(c.runs), 0)::int AS recipients, f.created_at AS "startedAt", f.finished_at AS "finishedAt"
      FROM fanouts f LEFT JOIN fanout_chunks c ON c.event_id = f.event_id AND c.workflow_key = f.workflow_key
      WHERE f.tenant_id = $1 AND f.event_id = $2 GROUP BY f.event_id, f.workflow_key ORDER BY f.workflow_key`,
    values: [event.tenant, event.id],
  })
  return rows
}
