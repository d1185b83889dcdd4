import { type Lane, lowestIdAt, type Reason, type RunState, timeOfId } from '@carillon/contracts'
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
  snoozedUntil: Date | null
  removedAt: Date | null
  /** The run of the digest that it went into. */
  digestId: string | null
  cancelKey: string | null
}

/** Columns of a `RunRecord`. */
export const RUN = `id, event_id AS "eventId", workflow_key AS "workflowKey", workflow_version AS "workflowVersion",
  user_id AS "userId", recipient, lane, category, state, reason, plan, content, in_inbox AS "inInbox",
  wake_at AS "wakeAt", expires_at AS "expiresAt", created_at AS "createdAt", seen_at AS "seenAt", read_at AS "readAt",
  archived_at AS "archivedAt", snoozed_until AS "snoozedUntil", removed_at AS "removedAt", digest_id AS "digestId", cancel_key AS "cancelKey"`

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
