import {
  type DeliveryStatus,
  type Lane,
  lowestIdAt,
  type Reason,
  type RunState,
  timeOfId,
} from '@carillon/contracts'
import type { Queryable, Tx } from './tx.js'

/** Everything that is read to tell the story of an event or a notification. Request role, one tenant. */

export interface EventRecord {
  id: string
  source: string
  eventId: string
  type: string
  subject: string | null
  time: string | null
  lane: Lane
  data: unknown
  /** Per workflow that listens to the type: whether it matched and why not. */
  outcome: unknown[]
  firstSeen: Date
}

/** First-seen moment of an event by its key (16 bytes), or undefined when it never came or was too long ago. */
export async function findEventKey(database: Queryable, key: Uint8Array): Promise<number | undefined> {
  const { rows } = await database.query<{ seen: Date | null }>({
    text: 'SELECT find_event_key($1) AS seen',
    values: [key],
  })
  return rows[0]?.seen?.getTime()
}

export async function findEvent(
  tx: Tx,
  event: { tenant: string; id: string },
): Promise<EventRecord | undefined> {
  const { rows } = await tx.query<EventRecord>({
    text: `SELECT id, source, event_id AS "eventId", type, subject, time, lane, data, outcome, first_seen AS "firstSeen"
      FROM events WHERE tenant_id = $1 AND id = $2`,
    values: [event.tenant, event.id],
  })
  return rows[0]
}

export interface RunRecord {
  id: string
  eventId: string
  workflowKey: string
  workflowVersion: number
  userId: string | null
  recipient: string
  lane: Lane
  category: string | null
  state: RunState
  reason: Reason | null
  /** One entry per pass: {at, steps}. */
  plan: unknown
  content: unknown
  inInbox: boolean
  wakeAt: Date | null
  expiresAt: Date | null
  createdAt: Date
  seenAt: Date | null
  readAt: Date | null
  archivedAt: Date | null
  /** The run of the digest that it went into. */
  digestId: string | null
  cancelKey: string | null
}

/** Columns of a `RunRecord`. */
export const RUN = `id, event_id AS "eventId", workflow_key AS "workflowKey", workflow_version AS "workflowVersion",
  user_id AS "userId", recipient, lane, category, state, reason, plan, content, in_inbox AS "inInbox",
  wake_at AS "wakeAt", expires_at AS "expiresAt", created_at AS "createdAt", seen_at AS "seenAt", read_at AS "readAt",
  archived_at AS "archivedAt", digest_id AS "digestId", cancel_key AS "cancelKey"`

/** A run by its id; with `userId` only if it is this person's. */
export async function findRun(
  tx: Tx,
  run: { tenant: string; id: string; userId?: string | undefined },
): Promise<RunRecord | undefined> {
  const { rows } = await tx.query<RunRecord>({
    text: `SELECT ${RUN} FROM runs WHERE tenant_id = $1 AND id = $2 AND ($3::uuid IS NULL OR user_id = $3)`,
    values: [run.tenant, run.id, run.userId],
  })
  return rows[0]
}

/** Runs of one event, by id; `recipient` narrows to one, `after` is the last id of the page before. */
export async function runsOfEvent(
  tx: Tx,
  page: {
    tenant: string
    eventId: string
    recipient?: string | undefined
    after?: string | undefined
    limit: number
  },
): Promise<RunRecord[]> {
  // runs carry their event's first-seen time in front: only its partition is opened
  const firstSeenMs = timeOfId(page.eventId)
  const { rows } = await tx.query<RunRecord>({
    text: `SELECT ${RUN} FROM runs
      WHERE tenant_id = $1 AND event_id = $2 AND id >= $3 AND id < $4 AND ($5::uuid IS NULL OR id > $5)
        AND ($6::text IS NULL OR recipient = $6)
      ORDER BY id LIMIT $7`,
    values: [
      page.tenant,
      page.eventId,
      lowestIdAt(firstSeenMs),
      lowestIdAt(firstSeenMs + 1),
      page.after,
      page.recipient,
      page.limit,
    ],
  })
  return rows
}

export interface DeliveryRecord {
  runId: string
  id: string
  channel: string
  step: number
  addressKind: 'device' | 'email' | 'phone' | 'webhook'
  address: string
  provider: string | null
  status: DeliveryStatus
  reason: Reason | null
  detail: string | null
  attemptNo: number
  maxAttempts: number
  dueAt: Date | null
  sentAt: Date | null
  deliveredAt: Date | null
  openedAt: Date | null
  clickedAt: Date | null
  updatedAt: Date
  /** Kind and app of the device, while it is known. */
  device: string | null
}

/** Deliveries of some runs, in the order of steps. */
export async function deliveriesOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<DeliveryRecord[]> {
  const { rows } = await tx.query<DeliveryRecord>({
    text: `SELECT l.run_id AS "runId", l.id, l.channel, l.step, l.address_kind AS "addressKind", l.address, l.provider,
        l.status, l.reason, l.detail, l.attempt_no AS "attemptNo", l.max_attempts AS "maxAttempts", l.due_at AS "dueAt",
        l.sent_at AS "sentAt", l.delivered_at AS "deliveredAt", l.opened_at AS "openedAt", l.clicked_at AS "clickedAt",
        l.updated_at AS "updatedAt", d.kind || ' ' || d.app AS device
      FROM deliveries l LEFT JOIN devices d
        ON l.address_kind = 'device' AND d.tenant_id = l.tenant_id AND d.id::text = l.address
      WHERE l.tenant_id = $1 AND l.run_id = ANY ($2::uuid[]) ORDER BY l.run_id, l.step, l.id`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

export interface AttemptRecord {
  deliveryId: string
  attemptNo: number
  provider: string | null
  verdict: string | null
  reason: string | null
  detail: string | null
  providerId: string | null
  startedAt: Date
  finishedAt: Date | null
}

export async function attemptsOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<AttemptRecord[]> {
  const { rows } = await tx.query<AttemptRecord>({
    text: `SELECT delivery_id AS "deliveryId", attempt_no AS "attemptNo", provider, verdict, reason, detail,
        provider_id AS "providerId", started_at AS "startedAt", finished_at AS "finishedAt"
      FROM attempts WHERE tenant_id = $1 AND run_id = ANY ($2::uuid[]) ORDER BY run_id, delivery_id, attempt_no`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

export interface ReceiptRecord {
  deliveryId: string
  status: string
  by: string
  at: Date
  detail: string | null
}

export async function receiptsOf(
  tx: Tx,
  runs: { tenant: string; ids: readonly string[] },
): Promise<ReceiptRecord[]> {
  const { rows } = await tx.query<ReceiptRecord>({
    text: `SELECT delivery_id AS "deliveryId", status, by, at, detail FROM receipts
      WHERE tenant_id = $1 AND run_id = ANY ($2::uuid[]) ORDER BY at, status`,
    values: [runs.tenant, runs.ids],
  })
  return rows
}

/** Whose a delivery is: what a receipt needs to know besides its token. */
export interface DeliveryOwner {
  runId: string
  id: string
  userId: string
  channel: string
}

/** Owners of some deliveries; those of other tenants and unknown ones are missing. */
export async function deliveryOwners(
  tx: Tx,
  wanted: { tenant: string; deliveries: readonly { runId: string; id: string }[] },
): Promise<DeliveryOwner[]> {
  const { rows } = await tx.query<DeliveryOwner>({
    text: `SELECT d.run_id AS "runId", d.id, d.user_id AS "userId", d.channel
      FROM unnest($2::uuid[], $3::uuid[]) AS w (run_id, id) JOIN deliveries d USING (run_id, id) WHERE d.tenant_id = $1`,
    values: [
      wanted.tenant,
      wanted.deliveries.map((delivery) => delivery.runId),
      wanted.deliveries.map((delivery) => delivery.id),
    ],
  })
  return rows
}

/** A page of the trail, newest first; `before` is the last sequence of the page before. `fact` is JSON text. */
export async function auditPage(
  tx: Tx,
  page: { tenant: string; before?: number | undefined; limit: number },
): Promise<{ sequence: number; fact: string; recordedAt: Date }[]> {
  const { rows } = await tx.query<{ sequence: number; fact: string; recordedAt: Date }>({
    text: `SELECT sequence, fact, recorded_at AS "recordedAt" FROM audit
      WHERE tenant_id = $1 AND ($2::bigint IS NULL OR sequence < $2) ORDER BY sequence DESC LIMIT $3`,
    values: [page.tenant, page.before, page.limit],
  })
  return rows
}

/** Something to be published, written in the transaction whose change it tells. Returns the rows' ids, in order. */
export async function insertOutbox(
  tx: Tx,
  tenant: string,
  messages: readonly { stream: string; subject: string; messageId: string; body: string }[],
): Promise<number[]> {
  const { rows } = await tx.query<{ id: number }>({
    text: `INSERT INTO outbox (tenant_id, stream, subject, message_id, body)
      SELECT $1, m.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS m RETURNING id`,
    values: [
      tenant,
      messages.map((message) => message.stream),
      messages.map((message) => message.subject),
      messages.map((message) => message.messageId),
      messages.map((message) => message.body),
    ],
  })
  return rows.map((row) => row.id)
}
