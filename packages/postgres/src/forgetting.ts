import type { Tx } from './tx.js'

/** What becomes of deliveries whose person was deleted: nothing goes out, and where it would have gone is forgotten. */

/** Stands beside the reason `NO_RECIPIENT`. */
export const FORGOTTEN = 'the person was deleted'

/** A mailbox and a number name a person; a device's id and a receiver's URL don't. */
export function forgottenAddress(delivery: string): string {
  return `CASE WHEN ${delivery}.address_kind IN ('email', 'phone') THEN '' ELSE ${delivery}.address END`
}

/**
 * Withdraws everything that still waits for a person. An attempt that is under way ends as it ends; what comes of it
 * later is withdrawn by the worker that claims it, and so is what a dispatcher is writing at this moment. Reads all
 * rows that are due some time, of every tenant: a second for a million of them. Request role.
 */
export async function withdrawForgotten(tx: Tx, user: { tenant: string; id: string }): Promise<number> {
  const { rowCount } = await tx.query({
    // locked in the order in which workers take rows
    text: `WITH waiting AS (
        SELECT run_id, id FROM deliveries
        WHERE due_at IS NOT NULL AND tenant_id = $1 AND user_id = $2 AND status IN ('queued', 'retrying')
        ORDER BY run_id, id FOR UPDATE)
      UPDATE deliveries d SET status = 'withdrawn', reason = 'NO_RECIPIENT', detail = '${FORGOTTEN}', due_at = NULL,
        address = ${forgottenAddress('d')}, updated_at = now()
      FROM waiting w WHERE d.run_id = w.run_id AND d.id = w.id`,
    values: [user.tenant, user.id],
  })
  return rowCount
}
