import { momentArray, plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** The windows of digests that gather now, and what they gathered. Worker role. */

/** Names a window: one person, one step of one version, one key. */
export interface DigestWindowKey {
  tenant: string
  workflowKey: string
  workflowVersion: number
  userId: string
  step: number
  key: string
}

export interface DigestWindowRow {
  digestId: string | null
  openedAt: number
  closesAt: number
  items: number
}

/**
 * Locks windows until the transaction ends and gives those that are open, in the order asked; undefined where none is.
 * Whoever joins and whoever closes go through this lock, so no item falls in between. Keys must be distinct.
 */
export async function lockDigestWindows(
  tx: Tx,
  keys: readonly DigestWindowKey[],
): Promise<(DigestWindowRow | undefined)[]> {
  const sorted = [...keys].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const { rows } = await tx.query<DigestWindowKey & DigestWindowRow & { fresh: boolean }>({
    name: 'dispatch-lock-digests',
    text: `INSERT INTO open_digests AS d (tenant_id, workflow_key, workflow_version, user_id, step, key, opened_at, closes_at, items)
      SELECT t, w, v, u, s, k, now(), now(), 0
      FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::smallint[], $6::text[]) AS n (t, w, v, u, s, k)
      ON CONFLICT (tenant_id, workflow_key, workflow_version, user_id, step, key) DO UPDATE SET items = d.items
      RETURNING tenant_id AS tenant, workflow_key AS "workflowKey", workflow_version AS "workflowVersion", user_id AS "userId",
        step, key, digest_id AS "digestId", (extract(epoch FROM opened_at) * 1000)::float8 AS "openedAt",
        (extract(epoch FROM closes_at) * 1000)::float8 AS "closesAt", items, xmax = 0 AS fresh`,
    values: keyColumns(sorted),
  })
  const found = new Map(rows.map((row) => [nameOf(row), row]))
  return keys.map((key) => {
    const row = found.get(nameOf(key))
    if (row === undefined || row.fresh) return undefined
    return {
      digestId: row.digestId,
      openedAt: Math.round(row.openedAt),
      closesAt: Math.round(row.closesAt),
      items: row.items,
    }
  })
}

/** Stores windows that were locked in this transaction; those without a row any more are closed. */
export async function writeDigestWindows(
  tx: Tx,
  windows: readonly { key: DigestWindowKey; open: DigestWindowRow | undefined }[],
): Promise<void> {
  const kept = windows.filter((window) => window.open !== undefined)
  const closed = windows.filter((window) => window.open === undefined)
  if (kept.length > 0) {
    await tx.query({
      name: 'dispatch-write-digests',
      text: `UPDATE open_digests AS d SET digest_id = n.i, opened_at = n.o, closes_at = n.c, items = n.n
        FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::smallint[], $6::text[], $7::uuid[], $8::timestamptz[], $9::timestamptz[], $10::int[])
          AS n (t, w, v, u, s, k, i, o, c, n) WHERE ${SAME_WINDOW}`,
      values: [
        ...keyColumns(kept.map(({ key }) => key)),
        plainArray(kept.map(({ open }) => open?.digestId ?? null)),
        momentArray(kept.map(({ open }) => open?.openedAt ?? null)),
        momentArray(kept.map(({ open }) => open?.closesAt ?? null)),
        plainArray(kept.map(({ open }) => open?.items ?? 0)),
      ],
    })
  }
  if (closed.length === 0) return
  await tx.query({
    text: `DELETE FROM open_digests AS d USING unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::smallint[], $6::text[])
        AS n (t, w, v, u, s, k) WHERE ${SAME_WINDOW}`,
    values: keyColumns(closed.map(({ key }) => key)),
  })
}

const SAME_WINDOW =
  'd.tenant_id = n.t AND d.workflow_key = n.w AND d.workflow_version = n.v AND d.user_id = n.u AND d.step = n.s AND d.key = n.k'

/**
 * Closes the windows of digests whose time has come, and says of those that still gather when they close. Waits for who
 * is joining right now; afterwards nobody joins what was closed.
 */
export async function closeDigestWindows(
  tx: Tx,
  digestIds: readonly string[],
  nowMs: number,
): Promise<Map<string, number>> {
  const { rows } = await tx.queryArrays<[string, number]>({
    text: `SELECT digest_id, (extract(epoch FROM closes_at) * 1000)::float8 FROM open_digests
      WHERE digest_id = ANY ($1::uuid[]) ORDER BY digest_id FOR UPDATE`,
    values: [plainArray([...digestIds].sort())],
  })
  const open = new Map(rows.map(([id, closesAt]) => [id, Math.round(closesAt)]))
  const over = [...open].filter(([, closesAt]) => closesAt <= nowMs).map(([id]) => id)
  if (over.length > 0) {
    await tx.query({
      text: 'DELETE FROM open_digests WHERE digest_id = ANY ($1::uuid[])',
      values: [plainArray(over)],
    })
    for (const id of over) open.delete(id)
  }
  return open
}

/** A run that a digest gathered, with its event. */
export interface DigestItemRow {
  digestId: string
  run: string
  workflowKey: string
  seenAt: Date | null
  cancelKey: string | null
  createdAtMs: number
  event: {
    id: string
    type: string
    source: string
    subject: string | null
    time: string | null
    data: unknown
  }
}

/** What digests gathered, in the order in which it was first seen, and within a batch in its order. A digest that went into another one is its own items. */
export async function loadDigestItems(tx: Tx, digestIds: readonly string[]): Promise<DigestItemRow[]> {
  const { rows } = await tx.query<DigestItemRow>({
    text: `WITH RECURSIVE gathered AS (
        SELECT digest_id AS root, id, event_id, ARRAY[digest_place] AS place FROM runs WHERE digest_id = ANY ($1::uuid[])
        UNION ALL
        SELECT g.root, r.id, r.event_id, g.place || r.digest_place FROM gathered g JOIN runs r ON r.digest_id = g.id
      )
      SELECT g.root AS "digestId", r.id AS run, r.workflow_key AS "workflowKey", r.seen_at AS "seenAt", r.cancel_key AS "cancelKey",
        (extract(epoch FROM r.created_at) * 1000)::float8 AS "createdAtMs",
        json_build_object('id', e.event_id, 'type', e.type, 'source', e.source, 'subject', e.subject, 'time', e.time, 'data', e.data) AS event
      FROM gathered g JOIN runs r ON r.id = g.id JOIN events e ON e.id = g.event_id
      WHERE NOT EXISTS (SELECT FROM runs i WHERE i.digest_id = g.id)
      ORDER BY g.root, r.created_at, g.place`,
    values: [plainArray(digestIds)],
  })
  return rows
}

/** Digests that are full go on at once. */
export async function wakeDigests(tx: Tx, digestIds: readonly string[], nowMs: number): Promise<void> {
  await tx.query({
    text: `UPDATE runs SET wake_at = to_timestamp($2 / 1000.0), resume_at = to_timestamp($2 / 1000.0)
      WHERE id = ANY ($1::uuid[]) AND state = 'waiting'`,
    values: [plainArray([...digestIds].sort()), nowMs],
  })
}

function keyColumns(keys: readonly DigestWindowKey[]): string[] {
  return [
    textArray(keys.map((key) => key.tenant)),
    textArray(keys.map((key) => key.workflowKey)),
    plainArray(keys.map((key) => key.workflowVersion)),
    plainArray(keys.map((key) => key.userId)),
    plainArray(keys.map((key) => key.step)),
    textArray(keys.map((key) => key.key)),
  ]
}

function nameOf(key: DigestWindowKey): string {
  return `${key.tenant} ${key.workflowKey} ${key.workflowVersion} ${key.userId} ${key.step} ${key.key}`
}
