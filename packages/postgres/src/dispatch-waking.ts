import type { DeliveryChannel, DeliveryStatus, Lane, Reason, RunState } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import { STORED_RUN, type StoredRun } from './dispatch-rows.js'
import type { Queryable, Tx } from './tx.js'

/** What the waker finds due: runs that waited, deliveries that retry or got stuck, outbox rows. Worker role. */

/** How many rows of each kind are due now; one cheap statement for an idle mesh. */
export async function countDue(
  tx: Queryable,
): Promise<{ runs: boolean; deliveries: boolean; outbox: boolean }> {
  const { rows } = await tx.query<{ runs: boolean; deliveries: boolean; outbox: boolean }>({
    name: 'wake-due',
    text: `SELECT EXISTS (SELECT FROM runs WHERE wake_at <= now()) AS runs,
      EXISTS (SELECT FROM deliveries WHERE due_at <= now()) AS deliveries,
      EXISTS (SELECT FROM outbox WHERE created_at < now() - interval '2 seconds') AS outbox`,
  })
  return rows[0] as { runs: boolean; deliveries: boolean; outbox: boolean }
}

export interface DueRun extends StoredRun {
  workflowVersion: number
  recipient: string
  state: RunState
  plan: unknown[]
  nextStep: number | null
  publishPending: boolean
  expiresAt: Date | null
  collapseKey: string | null
  event: {
    id: string
    source: string
    eventId: string
    type: string
    subject: string | null
    time: string | null
    data: unknown
  } | null
}

/** Takes runs that are due. Their `wake_at` moves on by the lease, so that a waker that dies loses nothing. */
export async function claimDueRuns(tx: Tx, options: { limit: number; leaseMs: number }): Promise<DueRun[]> {
  const { rows } = await tx.query<DueRun>({
    text: `WITH due AS (
        SELECT id FROM runs WHERE wake_at <= now() ORDER BY wake_at LIMIT $1 FOR UPDATE SKIP LOCKED
      ), claimed AS (
        UPDATE runs SET wake_at = now() + make_interval(secs => $2 / 1000.0) WHERE id IN (SELECT id FROM due) RETURNING runs.*
      )
      SELECT ${STORED_RUN}, workflow_version AS "workflowVersion", recipient, state, plan, next_step AS "nextStep",
        publish_pending AS "publishPending", expires_at AS "expiresAt", collapse_key AS "collapseKey",
        (SELECT json_build_object('id', e.id, 'source', e.source, 'eventId', e.event_id, 'type', e.type, 'subject', e.subject,
           'time', e.time, 'data', e.data) FROM events e WHERE e.id = claimed.event_id) AS event
      FROM claimed ORDER BY id`,
    values: [options.limit, options.leaseMs],
  })
  return rows
}

export interface WokenRun {
  id: string
  /** The step this pass began with: a run that another waker moved on is left alone. */
  fromStep: number | null
  state: RunState
  reason: Reason | null
  planJson: string
  contentJson: string | null
  nextStep: number | null
  inInbox: boolean
  /** Until the publication is confirmed the run stays due at this moment. */
  leaseUntilMs: number
}

/** Stores what was judged for woken runs, still marked as not published. Gives the ids that were really moved. */
export async function updateWokenRuns(tx: Tx, runs: readonly WokenRun[]): Promise<Set<string>> {
  const sorted = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))
  const { rows } = await tx.queryArrays<[string]>({
    text: `UPDATE runs SET state = n.state, reason = n.reason, plan = n.plan, content = n.content, next_step = n.next_step,
        in_inbox = runs.in_inbox OR n.in_inbox, wake_at = n.lease, publish_pending = true
      FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::json[], $6::json[], $7::smallint[], $8::boolean[], $9::timestamptz[])
        AS n (id, from_step, state, reason, plan, content, next_step, in_inbox, lease)
      WHERE runs.id = n.id AND runs.next_step IS NOT DISTINCT FROM n.from_step AND NOT runs.publish_pending
      RETURNING runs.id`,
    values: [
      plainArray(sorted.map((run) => run.id)),
      plainArray(sorted.map((run) => run.fromStep)),
      textArray(sorted.map((run) => run.state)),
      textArray(sorted.map((run) => run.reason)),
      textArray(sorted.map((run) => run.planJson)),
      textArray(sorted.map((run) => run.contentJson)),
      plainArray(sorted.map((run) => run.nextStep)),
      plainArray(sorted.map((run) => run.inInbox)),
      momentArray(sorted.map((run) => run.leaseUntilMs)),
    ],
  })
  return new Set(rows.map(([id]) => id))
}

/** After the jobs and frames of woken runs are out: when they wake again, or never. */
export async function settleWokenRuns(
  tx: Tx,
  runs: readonly { id: string; wakeAtMs: number | null }[],
): Promise<void> {
  const sorted = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))
  await tx.query({
    text: `UPDATE runs SET publish_pending = false, wake_at = n.wake_at
      FROM unnest($1::uuid[], $2::timestamptz[]) AS n (id, wake_at) WHERE runs.id = n.id`,
    values: [plainArray(sorted.map((run) => run.id)), momentArray(sorted.map((run) => run.wakeAtMs))],
  })
}

export interface DueDelivery {
  runId: string
  id: string
  tenant: string
  channel: DeliveryChannel
  lane: Lane
  status: DeliveryStatus
  /** True when the publisher knows that no job is in the stream: it was refused for lack of room. */
  refused: boolean
}

/** Marks deliveries whose job found no room, so that the waker brings it as soon as there is some. */
export const NO_ROOM = 'no room in the queue'

/**
 * Takes deliveries whose time has come: retries, lapsed leases (the attempt's outcome is unknown then, and the row
 * retries with the same ids), and queued rows whose job may never have come. What has expired meanwhile ends here. Their `due_at` moves on, so a waker that dies loses nothing.
 */
export async function claimDueDeliveries(
  tx: Tx,
  options: { limit: number; againMs: number },
): Promise<{
  due: DueDelivery[]
  expired: { runId: string; id: string; tenant: string; channel: DeliveryChannel }[]
}> {
  const { rows } = await tx.query<DueDelivery & { expired: boolean }>({
    text: `WITH due AS (
        SELECT run_id, id, status = 'sending' AS lapsed FROM deliveries WHERE due_at <= now() ORDER BY due_at LIMIT $1
        FOR UPDATE SKIP LOCKED
      ), unanswered AS (
        UPDATE attempts a SET verdict = 'unknown', reason = 'worker lost', finished_at = now()
        FROM due WHERE due.lapsed AND a.run_id = due.run_id AND a.delivery_id = due.id AND a.finished_at IS NULL
      )
      UPDATE deliveries d SET
        due_at = CASE WHEN d.expires_at <= now() AND NOT due.lapsed THEN NULL ELSE now() + make_interval(secs => $2 / 1000.0) END,
        status = CASE WHEN due.lapsed THEN 'retrying' WHEN d.expires_at <= now() THEN 'expired' ELSE d.status END,
        reason = CASE WHEN d.expires_at <= now() AND NOT due.lapsed THEN 'EXPIRED' ELSE d.reason END,
        updated_at = now()
      FROM due WHERE d.run_id = due.run_id AND d.id = due.id
      RETURNING d.run_id AS "runId", d.id, d.tenant_id AS tenant, d.channel, d.lane, d.status,
        d.detail IS NOT DISTINCT FROM $3 AS refused, d.status = 'expired' AS expired`,
    values: [options.limit, options.againMs, NO_ROOM],
  })
  return {
    due: rows.filter((row) => !row.expired),
    expired: rows.filter((row) => row.expired),
  }
}

/** Notes on queued deliveries that their job was refused, and when to try again. */
export async function markRefused(
  tx: Tx,
  deliveries: readonly { runId: string; id: string }[],
  againMs: number,
): Promise<void> {
  const sorted = [...deliveries].sort((a, b) => (a.runId + a.id < b.runId + b.id ? -1 : 1))
  await tx.query({
    text: `UPDATE deliveries d SET due_at = now() + make_interval(secs => $3 / 1000.0), detail = $4, updated_at = now()
      FROM unnest($1::uuid[], $2::uuid[]) AS n (run_id, id)
      WHERE d.run_id = n.run_id AND d.id = n.id AND d.status IN ('queued', 'retrying')`,
    values: [
      plainArray(sorted.map((row) => row.runId)),
      plainArray(sorted.map((row) => row.id)),
      againMs,
      NO_ROOM,
    ],
  })
}

/** Takes the mark off again once the job is out. */
export async function clearRefused(
  tx: Tx,
  deliveries: readonly { runId: string; id: string }[],
): Promise<void> {
  const sorted = [...deliveries].sort((a, b) => (a.runId + a.id < b.runId + b.id ? -1 : 1))
  await tx.query({
    text: `UPDATE deliveries d SET detail = NULL FROM unnest($1::uuid[], $2::uuid[]) AS n (run_id, id)
      WHERE d.run_id = n.run_id AND d.id = n.id AND d.detail = $3`,
    values: [plainArray(sorted.map((row) => row.runId)), plainArray(sorted.map((row) => row.id)), NO_ROOM],
  })
}

export interface OutboxRow {
  id: number
  stream: string
  subject: string
  messageId: string
  body: string
}

/** Locks outbox rows that nobody relayed yet; they are deleted in the same transaction once published. */
export async function lockOutbox(tx: Tx, limit: number): Promise<OutboxRow[]> {
  const { rows } = await tx.query<OutboxRow>({
    text: `SELECT id, stream, subject, message_id AS "messageId", body FROM outbox
      WHERE created_at < now() - interval '2 seconds' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
    values: [limit],
  })
  return rows
}

/** Removes outbox rows that were published. */
export async function deleteOutbox(tx: Tx, ids: readonly number[]): Promise<void> {
  await tx.query({ text: 'DELETE FROM outbox WHERE id = ANY ($1::bigint[])', values: [plainArray(ids)] })
}
