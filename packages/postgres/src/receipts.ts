import type { Channel, DeliveryStatus, Receipt, StoredMarks } from '@carillon/contracts'
import { DELIVERY_RANK } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import { WAKES_ON_SEEN } from './inbox-marks.js'
import type { Queryable, Tx } from './tx.js'

/** Writing what came back. Worker role. */

/** A receipt with the tenant that its subject names. */
export interface TenantReceipt extends Receipt {
  tenant: string
}

/**
 * Stores receipts and gives those that are new: one per delivery and status, however often it is told. A failure of what
 * was sent off again replaces the one of before: the attempts keep what came of each.
 */
export async function insertReceipts(tx: Tx, receipts: readonly TenantReceipt[]): Promise<TenantReceipt[]> {
  const key = (row: { runId: string; deliveryId: string; status: string }) =>
    `${row.runId} ${row.deliveryId} ${row.status}`
  const distinct = new Map<string, TenantReceipt>()
  for (const receipt of receipts) if (!distinct.has(key(receipt))) distinct.set(key(receipt), receipt)
  const sorted = [...distinct.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const { rows } = await tx.query<{ runId: string; deliveryId: string; status: string }>({
    name: 'history-receipts',
    text: `INSERT INTO receipts AS known (run_id, delivery_id, status, tenant_id, channel, by, at, detail)
      SELECT n.run_id, n.delivery_id, n.status, n.tenant_id, n.channel, n.by, n.at, n.detail
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
        AS n (run_id, delivery_id, status, tenant_id, channel, by, at, detail)
      WHERE EXISTS (SELECT FROM deliveries d WHERE d.run_id = n.run_id AND d.id = n.delivery_id AND d.tenant_id = n.tenant_id)
      ON CONFLICT (run_id, delivery_id, status) DO UPDATE SET by = excluded.by, at = excluded.at, detail = excluded.detail, recorded_at = now()
        WHERE known.status IN ('failed', 'bounced') AND EXISTS (SELECT FROM deliveries d WHERE d.run_id = known.run_id
          AND d.id = known.delivery_id AND d.replayed_at > known.recorded_at AND d.replayed_at <= excluded.at)
      RETURNING run_id AS "runId", delivery_id AS "deliveryId", status`,
    values: [
      plainArray(sorted.map((row) => row.runId)),
      plainArray(sorted.map((row) => row.deliveryId)),
      textArray(sorted.map((row) => row.status)),
      textArray(sorted.map((row) => row.tenant)),
      textArray(sorted.map((row) => row.channel)),
      textArray(sorted.map((row) => row.by)),
      momentArray(sorted.map((row) => row.at)),
      textArray(sorted.map((row) => row.detail ?? null)),
    ],
  })
  return rows.map((row) => distinct.get(key(row)) as TenantReceipt)
}

/** One delivery's news of a batch, folded: the furthest status and the first time of each engagement. */
export interface DeliveryNews {
  runId: string
  id: string
  status: Extract<DeliveryStatus, 'delivered' | 'failed'> | null
  reason: string | null
  /** What was said of it. */
  detail: string | null
  deliveredAtMs: number | null
  openedAtMs: number | null
  clickedAtMs: number | null
}

const RANK = `CASE d.status ${Object.entries(DELIVERY_RANK)
  .map(([status, rank]) => `WHEN '${status}' THEN ${rank}`)
  .join(' ')} END`

/** A delivery whose status a receipt changed. */
export interface MovedDelivery {
  runId: string
  id: string
  tenant: string
  userId: string
  channel: Channel
  status: DeliveryStatus
  /** Milliseconds from the provider's word to the device's; null until both are there. */
  answeredAfterMs: number | null
}

/**
 * Moves deliveries on; a status never goes back to a lower rank, and times are those of the first fact, so facts may come
 * in any order. Gives those whose status changed.
 */
export async function applyDeliveryNews(tx: Tx, news: readonly DeliveryNews[]): Promise<MovedDelivery[]> {
  const sorted = [...news].sort((a, b) => (a.runId + a.id < b.runId + b.id ? -1 : 1))
  const { rows } = await tx.query<MovedDelivery & { changed: boolean }>({
    name: 'history-deliveries',
    text: `WITH n AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::text[])
          AS n (run_id, id, status, rank, reason, delivered_at, opened_at, clicked_at, detail)
      ), before AS (
        SELECT d.run_id, d.id, d.status, n.rank > ${RANK} AS changed FROM n JOIN deliveries d USING (run_id, id)
        ORDER BY d.run_id, d.id FOR UPDATE OF d
      )
      UPDATE deliveries d SET
        status = CASE WHEN b.changed THEN n.status ELSE d.status END,
        reason = CASE WHEN b.changed THEN n.reason ELSE d.reason END,
        detail = CASE WHEN b.changed THEN n.detail ELSE d.detail END,
        due_at = CASE WHEN b.changed THEN NULL ELSE d.due_at END,
        delivered_at = least(d.delivered_at, n.delivered_at), opened_at = least(d.opened_at, n.opened_at),
        clicked_at = least(d.clicked_at, n.clicked_at),
        -- what failed keeps the time of its failing, by which dead letters are found
        updated_at = CASE WHEN d.status = 'failed' AND b.changed IS NOT TRUE THEN d.updated_at ELSE now() END
      FROM n JOIN before b USING (run_id, id) WHERE d.run_id = n.run_id AND d.id = n.id
      RETURNING d.run_id AS "runId", d.id, d.tenant_id AS tenant, d.user_id AS "userId", d.channel, d.status,
        greatest(0, extract(epoch FROM d.delivered_at - d.sent_at) * 1000)::float8 AS "answeredAfterMs", coalesce(b.changed, false) AS changed`,
    values: [
      plainArray(sorted.map((row) => row.runId)),
      plainArray(sorted.map((row) => row.id)),
      textArray(sorted.map((row) => row.status)),
      plainArray(sorted.map((row) => (row.status === null ? -1 : DELIVERY_RANK[row.status]))),
      textArray(sorted.map((row) => row.reason)),
      momentArray(sorted.map((row) => row.deliveredAtMs)),
      momentArray(sorted.map((row) => row.openedAtMs)),
      momentArray(sorted.map((row) => row.clickedAtMs)),
      textArray(sorted.map((row) => row.detail)),
    ],
  })
  return rows.filter((row) => row.changed)
}

/** How deliveries stand now; those that another tenant's receipt names are left out. */
export async function findStatuses(
  database: Queryable,
  receipts: readonly Pick<TenantReceipt, 'runId' | 'deliveryId' | 'tenant'>[],
): Promise<Omit<MovedDelivery, 'answeredAfterMs'>[]> {
  const { rows } = await database.query<Omit<MovedDelivery, 'answeredAfterMs'>>({
    text: `SELECT DISTINCT d.run_id AS "runId", d.id, d.tenant_id AS tenant, d.user_id AS "userId", d.channel, d.status
      FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS n (run_id, id, tenant_id) JOIN deliveries d USING (run_id, id, tenant_id)`,
    values: [
      plainArray(receipts.map((row) => row.runId)),
      plainArray(receipts.map((row) => row.deliveryId)),
      textArray(receipts.map((row) => row.tenant)),
    ],
  })
  return rows
}

export interface EngagedRun extends StoredMarks {
  readonly tenant: string
  readonly userId: string
}

/** Seen or read on a device is seen or read everywhere. Gives the notifications that changed. */
export async function markEngaged(
  tx: Tx,
  runs: readonly { runId: string; seenAtMs: number; readAtMs: number | null }[],
): Promise<EngagedRun[]> {
  const sorted = [...runs].sort((a, b) => (a.runId < b.runId ? -1 : 1))
  const { rows } = await tx.query<EngagedRun>({
    // locked in the order of ids, as people's own marks are
    text: `WITH n AS (
        SELECT r.id AS run_id, n.seen_at, n.read_at FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS n (id, seen_at, read_at)
          JOIN runs r ON r.id = n.id
        WHERE r.user_id IS NOT NULL AND (r.seen_at IS NULL OR (r.read_at IS NULL AND n.read_at IS NOT NULL))
        ORDER BY r.id FOR UPDATE OF r)
      UPDATE runs r SET seen_at = coalesce(r.seen_at, n.seen_at), read_at = coalesce(r.read_at, n.read_at),
        revision = r.revision + 1, ${WAKES_ON_SEEN}
      FROM n WHERE r.id = n.run_id
      RETURNING r.id, r.tenant_id AS tenant, r.user_id AS "userId", r.seen_at AS "seenAt", r.read_at AS "readAt",
        r.archived_at AS "archivedAt", r.snoozed_until AS "snoozedUntil", r.revision`,
    values: [
      plainArray(sorted.map((row) => row.runId)),
      momentArray(sorted.map((row) => row.seenAtMs)),
      momentArray(sorted.map((row) => row.readAtMs)),
    ],
  })
  return rows
}

/** Counts new receipts per tenant, day (UTC), channel and status. */
export async function addStatistics(tx: Tx, receipts: readonly TenantReceipt[]): Promise<void> {
  const counts = new Map<
    string,
    { tenant: string; day: string; channel: string; status: string; count: number }
  >()
  for (const { tenant, at, channel, status } of receipts) {
    const day = new Date(at).toISOString().slice(0, 10)
    const name = `${tenant} ${day} ${channel} ${status}`
    const entry = counts.get(name) ?? { tenant, day, channel, status, count: 0 }
    entry.count++
    counts.set(name, entry)
  }
  const sorted = [...counts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
  await tx.query({
    text: `INSERT INTO statistics (tenant_id, day, channel, status, count)
      SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::bigint[])
      ON CONFLICT (tenant_id, day, channel, status) DO UPDATE SET count = statistics.count + EXCLUDED.count`,
    values: [
      textArray(sorted.map((entry) => entry.tenant)),
      plainArray(sorted.map((entry) => entry.day)),
      textArray(sorted.map((entry) => entry.channel)),
      textArray(sorted.map((entry) => entry.status)),
      plainArray(sorted.map((entry) => entry.count)),
    ],
  })
}
