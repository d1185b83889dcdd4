import { momentArray, plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** A cancel of all runs of a workflow that have a key. */
export interface CancelRow {
  tenant: string
  workflowKey: string
  key: string
  atMs: number
}

/** What a cancel met. */
export interface CancelMet {
  /** Runs that wait or gather: they end without another word. */
  waiting: number
  /** Runs that have gone through; what of them is still in a queue is withdrawn. */
  complete: number
}

/**
 * Stores cancels, whether or not their runs have begun, and wakes the runs that there are. The last one of a key counts.
 * Either role; the request role for its own tenant.
 */
export async function cancelRuns(tx: Tx, cancels: readonly CancelRow[]): Promise<CancelMet> {
  if (cancels.length === 0) return { waiting: 0, complete: 0 }
  // one row a key, in order: two batches that cancel the same can't wait in a circle
  const last = new Map<string, CancelRow>()
  for (const cancel of cancels) {
    const name = nameOf(cancel)
    if ((last.get(name)?.atMs ?? 0) <= cancel.atMs) last.set(name, cancel)
  }
  const rows = [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cancel]) => cancel)
  const keys = [
    textArray(rows.map((cancel) => cancel.tenant)),
    textArray(rows.map((cancel) => cancel.workflowKey)),
    textArray(rows.map((cancel) => cancel.key)),
  ]
  await tx.query({
    text: `INSERT INTO cancels AS c (tenant_id, workflow_key, key, at)
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
      ON CONFLICT (tenant_id, workflow_key, key) DO UPDATE SET at = greatest(c.at, excluded.at)`,
    values: [...keys, momentArray(rows.map((cancel) => cancel.atMs))],
  })
  const met = await tx.query<{ state: string; count: number }>({
    text: `WITH woken AS (
        UPDATE runs r SET wake_at = CASE WHEN r.state = 'digested' THEN r.wake_at ELSE now() END
        FROM unnest($1::text[], $2::text[], $3::text[]) AS k (t, w, c)
        WHERE r.tenant_id = k.t AND r.workflow_key = k.w AND r.cancel_key = k.c AND r.state IN ('waiting', 'digested', 'completed')
        RETURNING r.state
      ) SELECT state, count(*) AS count FROM woken GROUP BY state`,
    values: keys,
  })
  const countOf = (...states: string[]) =>
    met.rows.reduce((sum, row) => sum + (states.includes(row.state) ? row.count : 0), 0)
  return { waiting: countOf('waiting', 'digested'), complete: countOf('completed') }
}

/** The cancels of some keys, in the order asked; undefined where there is none. Worker role. */
export async function loadCancels(
  tx: Tx,
  keys: readonly Omit<CancelRow, 'atMs'>[],
): Promise<(number | undefined)[]> {
  if (keys.length === 0) return []
  const { rows } = await tx.queryArrays<[number, number]>({
    name: 'dispatch-cancels',
    text: `SELECT k.place, (extract(epoch FROM c.at) * 1000)::float8
      FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (t, w, c, place)
      JOIN cancels c ON c.tenant_id = k.t AND c.workflow_key = k.w AND c.key = k.c`,
    values: [
      textArray(keys.map((one) => one.tenant)),
      textArray(keys.map((one) => one.workflowKey)),
      textArray(keys.map((one) => one.key)),
    ],
  })
  const at = new Map(rows.map(([place, moment]) => [place, Math.round(moment)]))
  return keys.map((_, index) => at.get(index + 1))
}

/**
 * Wakes those of these runs whose key was cancelled while they were written. To be called after their commit: whoever
 * cancelled has looked before it, or is found now. Whether the cancel holds is judged when they wake. Worker role.
 */
export async function wakeCancelled(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  await tx.query({
    text: `UPDATE runs r SET wake_at = now() FROM cancels c
      WHERE r.id = ANY ($1::uuid[]) AND r.state IN ('waiting', 'completed') AND NOT r.publish_pending
        AND c.tenant_id = r.tenant_id AND c.workflow_key = r.workflow_key AND c.key = r.cancel_key
        AND c.at > r.created_at - interval '10 minutes'`,
    values: [plainArray([...runIds].sort())],
  })
}

/** Takes deliveries of cancelled runs out of the queue; what has gone to a provider has gone. Worker role. */
export async function withdrawDeliveries(tx: Tx, runIds: readonly string[]): Promise<number> {
  if (runIds.length === 0) return 0
  const { rowCount } = await tx.query({
    text: `UPDATE deliveries SET status = 'withdrawn', reason = 'CANCELLED', due_at = NULL, updated_at = now()
      WHERE run_id = ANY ($1::uuid[]) AND status IN ('queued', 'retrying')`,
    values: [plainArray(runIds)],
  })
  return rowCount
}

function nameOf(cancel: CancelRow): string {
  return `${cancel.tenant} ${cancel.workflowKey} ${cancel.key}`
}
