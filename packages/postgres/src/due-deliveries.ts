import type { DeliveryChannel, Lane } from '@carillon/contracts'
import { plainArray } from './arrays.js'
import type { Tx } from './tx.js'

/** Deliveries that retry or got stuck, for the waker. Worker role. */

export interface DueDelivery {
  runId: string
  id: string
  tenant: string
  channel: DeliveryChannel
  lane: Lane
  /** True when it is known that no job of it is in the stream: it retries, or there was no room. */
  refused: boolean
}

/** A delivery that waited beyond its expiry. */
export interface ExpiredDelivery extends Omit<DueDelivery, 'lane' | 'refused'> {
  userId: string
  /** Attempts that were made. */
  attempt: number
  /** `clear`: nobody was to be told of it. */
  purpose: 'notify' | 'clear'
  /** When it ended, by the database's clock. */
  at: Date
}

/** Marks deliveries that have no job in the stream, so that the waker brings it as soon as there is room. */
export const NO_ROOM = 'waits for room in the queue'

/**
 * Takes deliveries of one lane whose time has come: retries, lapsed leases (the attempt's outcome is unknown then, and the
 * row goes again with the same ids), and queued rows whose job may never have come. What has expired meanwhile ends
 * here; whoever calls tells of it, in the same transaction. The others are queued again: their `due_at` moves on, and retries and lapsed leases get the mark, since no job
 * of theirs is in the stream; so a waker that dies loses nothing.
 */
export async function claimDueDeliveries(
  tx: Tx,
  options: { lane: Lane; limit: number; againMs: number },
): Promise<{ due: DueDelivery[]; expired: ExpiredDelivery[] }> {
  const { rows } = await tx.query<DueDelivery & ExpiredDelivery & { expired: boolean }>({
    text: `WITH due AS (
        SELECT run_id, id, status = 'sending' AS lapsed, status <> 'queued' AS jobless FROM deliveries WHERE lane = $4 AND due_at <= now() ORDER BY due_at LIMIT $1
        FOR UPDATE SKIP LOCKED
      ), unanswered AS (
        UPDATE attempts a SET verdict = 'unknown', reason = 'worker lost', finished_at = now()
        FROM due WHERE due.lapsed AND a.run_id = due.run_id AND a.delivery_id = due.id AND a.finished_at IS NULL
      )
      UPDATE deliveries d SET
        due_at = CASE WHEN d.expires_at <= now() AND NOT due.lapsed THEN NULL ELSE now() + make_interval(secs => $2 / 1000.0) END,
        status = CASE WHEN d.expires_at <= now() AND NOT due.lapsed THEN 'expired' ELSE 'queued' END,
        detail = CASE WHEN due.jobless AND (due.lapsed OR d.expires_at IS NULL OR d.expires_at > now()) THEN $3 ELSE d.detail END,
        reason = CASE WHEN d.expires_at <= now() AND NOT due.lapsed THEN 'EXPIRED' ELSE d.reason END,
        unknowns = d.unknowns + due.lapsed::int,
        updated_at = now()
      FROM due WHERE d.run_id = due.run_id AND d.id = due.id
      RETURNING d.run_id AS "runId", d.id, d.tenant_id AS tenant, d.channel, d.lane,
        d.detail IS NOT DISTINCT FROM $3 AS refused, d.status = 'expired' AS expired, d.user_id AS "userId", d.attempt_no AS attempt,
        d.purpose, d.updated_at AS at`,
    values: [options.limit, options.againMs, NO_ROOM, options.lane],
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

/** Takes the mark off again, before the job goes out. */
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
