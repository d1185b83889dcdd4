import { plainArray, textArray } from './arrays.js'
import type { Queryable, Tx } from './tx.js'

/** Mailboxes, numbers and receivers that nothing is sent to any more. */

export type SuppressionKind = 'email' | 'phone' | 'webhook'
export type SuppressionReason = 'bounced' | 'complained' | 'stopped' | 'refused' | 'operator'

export interface Suppression {
  kind: SuppressionKind
  address: string
  reason: SuppressionReason
  /** What the provider or the operator said. */
  detail: string | null
  since: Date
}

const SUPPRESSION = 'kind, address, reason, detail, since'
const MAX_DETAIL = 500

/** The form in which addresses are kept and compared: lower case, but for URLs. */
export function suppressedAddress(kind: SuppressionKind, address: string): string {
  return kind === 'webhook' ? address : address.trim().toLowerCase()
}

/**
 * Suppresses addresses, many at once. One that is suppressed already keeps its first reason. Gives how many are new.
 * Worker or request role.
 */
export async function suppress(
  tx: Pick<Tx, 'query'>,
  rows: readonly (Omit<Suppression, 'since'> & { tenant: string })[],
): Promise<number> {
  if (rows.length === 0) return 0
  const known = rows.map((row) => ({ ...row, address: suppressedAddress(row.kind, row.address) }))
  // one order for all writers, so that two of them never wait for each other
  const key = (row: (typeof known)[number]) => `${row.tenant} ${row.kind} ${row.address}`
  const sorted = known.sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const { rowCount } = await tx.query({
    text: `INSERT INTO suppressions (tenant_id, kind, address, reason, detail)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
      ON CONFLICT (tenant_id, kind, address) DO NOTHING`,
    values: [
      textArray(sorted.map((row) => row.tenant)),
      textArray(sorted.map((row) => row.kind)),
      textArray(sorted.map((row) => row.address)),
      textArray(sorted.map((row) => row.reason)),
      textArray(sorted.map((row) => row.detail?.slice(0, MAX_DETAIL) ?? null)),
    ],
  })
  return rowCount
}

/** Suppresses the mailboxes and numbers that deliveries went to. Gives how many are new. Worker role. */
export async function suppressDeliveries(
  tx: Pick<Tx, 'query'>,
  rows: readonly { runId: string; deliveryId: string; reason: SuppressionReason; detail: string | null }[],
): Promise<number> {
  if (rows.length === 0) return 0
  const { rowCount } = await tx.query({
    text: `INSERT INTO suppressions (tenant_id, kind, address, reason, detail)
      SELECT d.tenant_id, d.address_kind, lower(btrim(d.address)), n.reason, left(n.detail, ${MAX_DETAIL})
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS n (run_id, id, reason, detail)
        JOIN deliveries d USING (run_id, id)
      WHERE d.address_kind IN ('email', 'phone') ORDER BY d.tenant_id COLLATE "C", d.address_kind, lower(btrim(d.address)) COLLATE "C"
      ON CONFLICT (tenant_id, kind, address) DO NOTHING`,
    values: [
      plainArray(rows.map((row) => row.runId)),
      plainArray(rows.map((row) => row.deliveryId)),
      textArray(rows.map((row) => row.reason)),
      textArray(rows.map((row) => row.detail)),
    ],
  })
  return rowCount
}

/** An operator's own word. True when the address was not suppressed before; else the row says `operator` now. Request role. */
export async function putSuppression(
  tx: Queryable,
  row: { tenant: string; kind: SuppressionKind; address: string; detail: string | null },
): Promise<Suppression & { created: boolean }> {
  const { rows } = await tx.query<Suppression & { created: boolean }>({
    text: `INSERT INTO suppressions (tenant_id, kind, address, reason, detail) VALUES ($1, $2, $3, 'operator', $4)
      ON CONFLICT (tenant_id, kind, address) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
      RETURNING ${SUPPRESSION}, xmax = 0 AS created`,
    values: [row.tenant, row.kind, suppressedAddress(row.kind, row.address), row.detail],
  })
  return rows[0] as Suppression & { created: boolean }
}

/** A page by kind and address. `after` is the last row of the page before. Request role. */
export async function listSuppressions(
  tx: Queryable,
  of: {
    tenant: string
    kind?: SuppressionKind | undefined
    /** Exactly this one. */
    address?: string | undefined
    after?: { kind: string; address: string } | undefined
    limit: number
  },
): Promise<Suppression[]> {
  const { rows } = await tx.query<Suppression>({
    text: `SELECT ${SUPPRESSION} FROM suppressions
      WHERE tenant_id = $1 AND ($2::text IS NULL OR kind = $2)
        AND ($3::text IS NULL OR address = CASE kind WHEN 'webhook' THEN $3 ELSE lower(btrim($3)) END)
        AND ($4::text IS NULL OR (kind, address) > ($4, $5))
      ORDER BY kind, address LIMIT $6`,
    values: [of.tenant, of.kind, of.address, of.after?.kind, of.after?.address, of.limit],
  })
  return rows
}

/** True when it was suppressed. Request role. */
export async function deleteSuppression(
  tx: Queryable,
  row: { tenant: string; kind: SuppressionKind; address: string },
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM suppressions WHERE tenant_id = $1 AND kind = $2 AND address = $3',
    values: [row.tenant, row.kind, suppressedAddress(row.kind, row.address)],
  })
  return rowCount === 1
}
