import type { DeliveryChannel, Lane, Reason, RunState } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** Rows that one dispatch writes. Strings named …Json are JSON text, stored as they are. */
export interface EventRow {
  id: string
  tenant: string
  source: string
  eventId: string
  type: string
  subject: string | null
  time: string | null
  lane: Lane
  dataJson: string
  outcomeJson: string
  firstSeenMs: number
}

export interface RunRow {
  id: string
  tenant: string
  eventId: string
  workflowKey: string
  workflowVersion: number
  userId: string | null
  recipient: string
  lane: Lane
  category: string | null
  state: RunState
  reason: Reason | null
  planJson: string
  contentJson: string | null
  nextStep: number | null
  wakeAtMs: number | null
  inInbox: boolean
  expiresAtMs: number | null
  collapseKey: string | null
  cancelKey: string | null
  wakeOnSeen: boolean
  /** Steps that quiet hours hold, as JSON. */
  heldJson: string | null
  resumeAtMs: number | null
  /** The digest that it went into. */
  digestId: string | null
  /** Its place there, from 1. */
  digestPlace: number | null
  createdAtMs: number
}

export interface DeliveryRow {
  runId: string
  id: string
  tenant: string
  userId: string
  channel: DeliveryChannel
  lane: Lane
  step: number
  addressKind: 'device' | 'email' | 'phone' | 'webhook'
  address: string
  maxAttempts: number
  dueAtMs: number
  expiresAtMs: number | null
  createdAtMs: number
}

/** Writes all rows of a batch in one statement and one round trip. What is there already stays as it is. */
export async function insertDecisions(
  tx: Tx,
  batch: { events: readonly EventRow[]; runs: readonly RunRow[]; deliveries: readonly DeliveryRow[] },
): Promise<void> {
  const { events, runs, deliveries } = batch
  await tx.query({
    name: 'dispatch-insert',
    text: `WITH e AS (
      INSERT INTO events (id, tenant_id, source, event_id, type, subject, time, lane, data, outcome, first_seen)
      SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::json[], $10::json[], $11::timestamptz[])
      ON CONFLICT DO NOTHING
    ), r AS (
      INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, category, state, reason,
        plan, content, next_step, wake_at, in_inbox, expires_at, collapse_key, cancel_key, wake_on_seen, held, resume_at, digest_id, digest_place, created_at)
      SELECT * FROM unnest($12::uuid[], $13::text[], $14::uuid[], $15::text[], $16::int[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[],
        $23::json[], $24::json[], $25::smallint[], $26::timestamptz[], $27::boolean[], $28::timestamptz[], $29::text[], $30::text[], $31::boolean[], $32::json[], $33::timestamptz[], $34::uuid[], $35::int[], $36::timestamptz[])
      ON CONFLICT DO NOTHING
    )
    INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, max_attempts, due_at, expires_at, created_at, updated_at)
    SELECT r, i, t, u, c, l, s, k, a, m, d, x, w, w
    FROM unnest($37::uuid[], $38::uuid[], $39::text[], $40::uuid[], $41::text[], $42::text[], $43::smallint[], $44::text[], $45::text[], $46::smallint[],
      $47::timestamptz[], $48::timestamptz[], $49::timestamptz[]) AS n (r, i, t, u, c, l, s, k, a, m, d, x, w)
    ON CONFLICT DO NOTHING`,
    values: [...eventColumns(events), ...runColumns(runs), ...deliveryColumns(deliveries)],
  })
}

/** Writes the deliveries of runs that were woken. */
export async function insertDeliveries(tx: Tx, deliveries: readonly DeliveryRow[]): Promise<void> {
  if (deliveries.length === 0) return
  await tx.query({
    text: `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, max_attempts, due_at, expires_at, created_at, updated_at)
    SELECT r, i, t, u, c, l, s, k, a, m, d, x, w, w
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[], $10::smallint[],
      $11::timestamptz[], $12::timestamptz[], $13::timestamptz[]) AS n (r, i, t, u, c, l, s, k, a, m, d, x, w)
    ON CONFLICT DO NOTHING`,
    values: deliveryColumns(deliveries),
  })
}

function eventColumns(rows: readonly EventRow[]): string[] {
  return [
    plainArray(rows.map((row) => row.id)),
    textArray(rows.map((row) => row.tenant)),
    textArray(rows.map((row) => row.source)),
    textArray(rows.map((row) => row.eventId)),
    textArray(rows.map((row) => row.type)),
    textArray(rows.map((row) => row.subject)),
    textArray(rows.map((row) => row.time)),
    textArray(rows.map((row) => row.lane)),
    textArray(rows.map((row) => row.dataJson)),
    textArray(rows.map((row) => row.outcomeJson)),
    momentArray(rows.map((row) => row.firstSeenMs)),
  ]
}

function runColumns(rows: readonly RunRow[]): string[] {
  return [
    plainArray(rows.map((row) => row.id)),
    textArray(rows.map((row) => row.tenant)),
    plainArray(rows.map((row) => row.eventId)),
    textArray(rows.map((row) => row.workflowKey)),
    plainArray(rows.map((row) => row.workflowVersion)),
    plainArray(rows.map((row) => row.userId)),
    textArray(rows.map((row) => row.recipient)),
    textArray(rows.map((row) => row.lane)),
    textArray(rows.map((row) => row.category)),
    textArray(rows.map((row) => row.state)),
    textArray(rows.map((row) => row.reason)),
    textArray(rows.map((row) => row.planJson)),
    textArray(rows.map((row) => row.contentJson)),
    plainArray(rows.map((row) => row.nextStep)),
    momentArray(rows.map((row) => row.wakeAtMs)),
    plainArray(rows.map((row) => row.inInbox)),
    momentArray(rows.map((row) => row.expiresAtMs)),
    textArray(rows.map((row) => row.collapseKey)),
    textArray(rows.map((row) => row.cancelKey)),
    plainArray(rows.map((row) => row.wakeOnSeen)),
    textArray(rows.map((row) => row.heldJson)),
    momentArray(rows.map((row) => row.resumeAtMs)),
    plainArray(rows.map((row) => row.digestId)),
    plainArray(rows.map((row) => row.digestPlace)),
    momentArray(rows.map((row) => row.createdAtMs)),
  ]
}

function deliveryColumns(rows: readonly DeliveryRow[]): string[] {
  return [
    plainArray(rows.map((row) => row.runId)),
    plainArray(rows.map((row) => row.id)),
    textArray(rows.map((row) => row.tenant)),
    plainArray(rows.map((row) => row.userId)),
    textArray(rows.map((row) => row.channel)),
    textArray(rows.map((row) => row.lane)),
    plainArray(rows.map((row) => row.step)),
    textArray(rows.map((row) => row.addressKind)),
    textArray(rows.map((row) => row.address)),
    plainArray(rows.map((row) => row.maxAttempts)),
    momentArray(rows.map((row) => row.dueAtMs)),
    momentArray(rows.map((row) => row.expiresAtMs)),
    momentArray(rows.map((row) => row.createdAtMs)),
  ]
}

/** A run as it was stored first: what is published, whichever pass publishes it. */
export interface StoredRun {
  id: string
  tenant: string
  eventId: string
  userId: string | null
  workflowKey: string
  lane: Lane
  category: string | null
  inInbox: boolean
  content: Record<string, unknown> | null
  createdAtMs: number
  seenAt: Date | null
  readAt: Date | null
  archivedAt: Date | null
  snoozedUntil: Date | null
  removedAt: Date | null
  /** Counts the changes of the marks. */
  revision: number
}

/** A delivery that is still waiting for its job. */
export interface StoredDelivery {
  runId: string
  id: string
  tenant: string
  channel: DeliveryChannel
  lane: Lane
}

/** Everything that was stored for events on an earlier pass and may not have been published; chunks of a fan-out load their own. */
export async function loadStored(
  tx: Tx,
  eventRowIds: readonly string[],
): Promise<{ runs: StoredRun[]; deliveries: StoredDelivery[] }> {
  const runs = await tx.query<StoredRun>({
    text: `SELECT ${STORED_RUN} FROM runs WHERE event_id = ANY ($1::uuid[])
      AND NOT EXISTS (SELECT FROM fanouts f WHERE f.event_id = runs.event_id AND f.workflow_key = runs.workflow_key)`,
    values: [plainArray(eventRowIds)],
  })
  const deliveries = await tx.query<StoredDelivery>({
    text: `SELECT run_id AS "runId", id, tenant_id AS tenant, channel, lane FROM deliveries
      WHERE run_id = ANY ($1::uuid[]) AND status = 'queued'`,
    values: [plainArray(runs.rows.map((run) => run.id))],
  })
  return { runs: runs.rows, deliveries: deliveries.rows }
}

/** Columns of `runs` that make a StoredRun. */
export const STORED_RUN = `id, tenant_id AS tenant, event_id AS "eventId", user_id AS "userId", workflow_key AS "workflowKey", lane, category,
  in_inbox AS "inInbox", content, (extract(epoch FROM created_at) * 1000)::float8 AS "createdAtMs",
  seen_at AS "seenAt", read_at AS "readAt", archived_at AS "archivedAt", snoozed_until AS "snoozedUntil",
  removed_at AS "removedAt", revision`
