import { plainArray } from './arrays.js'
import type { DeliveryKey } from './deliveries.js'
import { NO_ROOM } from './due-deliveries.js'
import type { Tx } from './tx.js'

/** Sending dead letters off again. Request role, one tenant. */

/**
 * Why a dead letter is not sent off again. `NOT_DEAD`: it isn't one (any more): somebody was quicker, or it never failed.
 * `UNKNOWN`: there is none by that id. `MAYBE_SENT`: an attempt's outcome is unknown, so it may have rung.
 */
export const REDRIVE_REFUSALS = [
  'UNKNOWN',
  'NOT_DEAD',
  'EXPIRED',
  'USER_GONE',
  'ADDRESS_GONE',
  'SUPPRESSED',
  'MAYBE_SENT',
] as const
export type RedriveRefusal = (typeof REDRIVE_REFUSALS)[number]

export interface Redriven extends DeliveryKey {
  /** null: it is on its way again, or would be. */
  refused: RedriveRefusal | null
}

/** Most dead letters of one call: a transaction that stays short. */
export const MOST_REDRIVEN = 1000

/**
 * Queues failed deliveries again, with as many attempts as they had at first and every account to be asked anew; the
 * waker publishes their jobs. Fenced by the status: however often and from wherever it is asked for, each goes once.
 * One answer per key, in their order. Give at most `MOST_REDRIVEN`. `dryRun`: only tells.
 */
export async function redriveDeadLetters(
  tx: Tx,
  wanted: {
    tenant: string
    keys: readonly DeliveryKey[]
    /** Also what may have been sent. */
    evenUnknown: boolean
    dryRun: boolean
  },
): Promise<Redriven[]> {
  if (wanted.keys.length === 0) return []
  // rows are locked in one order by everybody, so that nobody waits in a circle
  const sorted = [...wanted.keys].sort((a, b) => (a.runId + a.id < b.runId + b.id ? -1 : 1))
  const { rows } = await tx.query<Redriven>({
    text: `WITH judged AS (
        SELECT d.run_id, d.id, CASE
            WHEN d.status <> 'failed' OR d.purpose <> 'notify' THEN 'NOT_DEAD'
            WHEN d.expires_at <= now() THEN 'EXPIRED'
            WHEN u.id IS NULL OR u.status <> 'active' THEN 'USER_GONE'
            WHEN d.address_kind = 'device' AND (v.id IS NULL OR v.status <> 'active' OR v.user_id <> d.user_id) THEN 'ADDRESS_GONE'
            WHEN s.address IS NOT NULL AND (s.reason <> 'complained' OR NOT coalesce(k.critical, false)) THEN 'SUPPRESSED'
            WHEN d.unknowns > 0 AND NOT $4 THEN 'MAYBE_SENT'
          END AS refused
        FROM unnest($2::uuid[], $3::uuid[]) AS w (run_id, id) JOIN deliveries d USING (run_id, id) JOIN runs r ON r.id = d.run_id
          LEFT JOIN users u ON u.tenant_id = d.tenant_id AND u.id = d.user_id
          LEFT JOIN devices v ON v.tenant_id = d.tenant_id AND v.id = CASE WHEN d.address_kind = 'device' THEN d.address::uuid END
          LEFT JOIN categories k ON k.tenant_id = d.tenant_id AND k.key = r.category
          LEFT JOIN suppressions s ON s.tenant_id = d.tenant_id AND s.kind = d.address_kind
            AND s.address = CASE d.address_kind WHEN 'webhook' THEN d.address ELSE lower(d.address) END
        WHERE d.tenant_id = $1 ORDER BY d.run_id, d.id FOR UPDATE OF d
      ), queued AS (
        -- the mark says that no job is in the stream: the waker brings it at once
        UPDATE deliveries d SET status = 'queued', reason = NULL, detail = $6, due_at = now(), tried = '{}',
          max_attempts = least(32767, d.attempt_no + d.attempts_each), replays = least(32767, d.replays + 1),
          replayed_at = now(), updated_at = now()
        FROM judged j WHERE j.refused IS NULL AND NOT $5 AND d.run_id = j.run_id AND d.id = j.id AND d.status = 'failed'
        RETURNING d.run_id, d.id
      )
      SELECT j.run_id AS "runId", j.id, CASE WHEN j.refused IS NULL AND NOT $5 AND q.id IS NULL THEN 'NOT_DEAD' ELSE j.refused END AS refused
      FROM judged j LEFT JOIN queued q ON q.run_id = j.run_id AND q.id = j.id`,
    values: [
      wanted.tenant,
      plainArray(sorted.map((key) => key.runId)),
      plainArray(sorted.map((key) => key.id)),
      wanted.evenUnknown,
      wanted.dryRun,
      NO_ROOM,
    ],
  })
  const found = new Map(rows.map((row) => [row.runId + row.id, row.refused]))
  return wanted.keys.map(({ runId, id }) => {
    const refused = found.get(runId + id)
    return { runId, id, refused: refused === undefined ? 'UNKNOWN' : refused }
  })
}
