import { LANES, type Lane, type Reason, type RunState } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import { STORED_RUN, type StoredRun } from './dispatch-rows.js'
import type { Queryable, Tx } from './tx.js'

/** What the waker finds due: runs that waited, deliveries that retry or got stuck, what was put off, outbox rows. Worker role. */

/** Whether something of each kind is due now; one cheap statement for an idle mesh. */
export async function countDue(tx: Queryable): Promise<{
  runs: boolean
  deliveries: boolean
  fanouts: boolean
  snoozed: boolean
  outbox: boolean
}> {
  const { rows } = await tx.query<{
    runs: boolean
    deliveries: boolean
    fanouts: boolean
    snoozed: boolean
    outbox: boolean
  }>({
    name: 'wake-due',
    text: `SELECT ${dueInSomeLane('runs', 'wake_at')} AS runs, ${dueInSomeLane('deliveries', 'due_at')} AS deliveries,
      EXISTS (SELECT FROM fanouts WHERE due_at <= now()) AS fanouts,
      EXISTS (SELECT FROM runs WHERE snoozed_until <= now()) AS snoozed,
      EXISTS (SELECT FROM outbox WHERE created_at < now() - interval '2 seconds') AS outbox`,
  })
  const [due] = rows
  if (due === undefined) throw new Error('nothing came back from a statement without FROM')
  return due
}

/** The indexes lead with the lane, so each lane is one look. */
function dueInSomeLane(table: string, column: string): string {
  return `(${LANES.map((lane) => `EXISTS (SELECT FROM ${table} WHERE lane = '${lane}' AND ${column} <= now())`).join(' OR ')})`
}

export interface DueRun extends StoredRun {
  workflowVersion: number
  recipient: string
  state: RunState
  plan: unknown[]
  /** When it was to wake, milliseconds. */
  dueAtMs: number
  nextStep: number | null
  /** When the next step is due, milliseconds. */
  resumeAtMs: number | null
  held: { step: number; at: number }[] | null
  cancelKey: string | null
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

/**
 * Takes runs of one lane that are due, the longest due first. Their `wake_at` moves on by the lease, so that a waker that
 * dies loses nothing.
 */
export async function claimDueRuns(
  tx: Tx,
  options: { lane: Lane; limit: number; leaseMs: number },
): Promise<DueRun[]> {
  const { rows } = await tx.query<DueRun>({
    name: 'wake-claim-runs',
    text: `WITH due AS (
        SELECT id, wake_at AS due_at FROM runs WHERE lane = $3 AND wake_at <= now() ORDER BY wake_at LIMIT $1 FOR UPDATE SKIP LOCKED
      ), claimed AS (
        UPDATE runs SET wake_at = now() + make_interval(secs => $2 / 1000.0)
        FROM due WHERE runs.id = due.id RETURNING runs.*, due.due_at
      )
      SELECT ${STORED_RUN}, workflow_version AS "workflowVersion", recipient, state, plan, next_step AS "nextStep",
        (extract(epoch FROM resume_at) * 1000)::float8 AS "resumeAtMs", held, cancel_key AS "cancelKey",
        publish_pending AS "publishPending", expires_at AS "expiresAt", collapse_key AS "collapseKey",
        (extract(epoch FROM due_at) * 1000)::float8 AS "dueAtMs",
        (SELECT json_build_object('id', e.id, 'source', e.source, 'eventId', e.event_id, 'type', e.type, 'subject', e.subject,
           'time', e.time, 'data', e.data) FROM events e WHERE e.id = claimed.event_id) AS event
      FROM claimed ORDER BY id`,
    values: [options.limit, options.leaseMs, options.lane],
  })
  return rows
}

/** Locks claimed runs that nobody moved on since, and gives their ids: what is decided now is decided once. */
export async function lockWaitingRuns(
  tx: Tx,
  runs: readonly { id: string; nextStep: number | null }[],
): Promise<Set<string>> {
  const sorted = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))
  const { rows } = await tx.queryArrays<[string]>({
    name: 'wake-lock-runs',
    text: `SELECT r.id FROM unnest($1::uuid[], $2::smallint[]) AS n (id, step)
      JOIN runs r ON r.id = n.id AND r.next_step IS NOT DISTINCT FROM n.step AND NOT r.publish_pending
      ORDER BY r.id FOR UPDATE OF r`,
    values: [plainArray(sorted.map((run) => run.id)), plainArray(sorted.map((run) => run.nextStep))],
  })
  return new Set(rows.map(([id]) => id))
}

export interface WokenRun {
  id: string
  state: RunState
  reason: Reason | null
  planJson: string
  contentJson: string | null
  nextStep: number | null
  resumeAtMs: number | null
  heldJson: string | null
  digestId: string | null
  digestPlace: number | null
  inInbox: boolean
  /** Until the publication is confirmed the run stays due at this moment. */
  leaseUntilMs: number
}

/** Stores what was judged for runs that are locked, still marked as not published. */
export async function updateWokenRuns(tx: Tx, runs: readonly WokenRun[]): Promise<void> {
  const sorted = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))
  await tx.query({
    name: 'wake-update-runs',
    text: `UPDATE runs SET state = n.state, reason = n.reason, plan = n.plan, content = n.content, next_step = n.next_step,
        in_inbox = runs.in_inbox OR n.in_inbox, wake_at = n.lease, publish_pending = true, resume_at = n.resume, held = n.held,
        digest_id = n.digest, digest_place = n.place
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::json[], $6::smallint[], $7::boolean[], $8::timestamptz[],
          $9::timestamptz[], $10::json[], $11::uuid[], $12::int[])
        AS n (id, state, reason, plan, content, next_step, in_inbox, lease, resume, held, digest, place)
      WHERE runs.id = n.id`,
    values: [
      plainArray(sorted.map((run) => run.id)),
      textArray(sorted.map((run) => run.state)),
      textArray(sorted.map((run) => run.reason)),
      textArray(sorted.map((run) => run.planJson)),
      textArray(sorted.map((run) => run.contentJson)),
      plainArray(sorted.map((run) => run.nextStep)),
      plainArray(sorted.map((run) => run.inInbox)),
      momentArray(sorted.map((run) => run.leaseUntilMs)),
      momentArray(sorted.map((run) => run.resumeAtMs)),
      textArray(sorted.map((run) => run.heldJson)),
      plainArray(sorted.map((run) => run.digestId)),
      plainArray(sorted.map((run) => run.digestPlace)),
    ],
  })
}

/**
 * After the jobs and frames of woken runs are out: when they wake again, or never. A run that something else woke
 * meanwhile (a cancel, being seen) stays due.
 */
export async function settleWokenRuns(
  tx: Tx,
  runs: readonly { id: string; wakeAtMs: number | null; leaseUntilMs: number | null }[],
): Promise<void> {
  const sorted = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))
  await tx.query({
    name: 'wake-settle-runs',
    text: `UPDATE runs SET publish_pending = false,
        wake_at = CASE WHEN runs.wake_at < n.lease THEN runs.wake_at ELSE n.wake_at END
      FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS n (id, wake_at, lease) WHERE runs.id = n.id`,
    values: [
      plainArray(sorted.map((run) => run.id)),
      momentArray(sorted.map((run) => run.wakeAtMs)),
      momentArray(sorted.map((run) => run.leaseUntilMs)),
    ],
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
