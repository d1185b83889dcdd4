import { INBOX_ROW, type InboxRow } from './inbox.js'
import type { Statement, Tx } from './tx.js'

/** A notification that came back, and whose it is. */
export interface ReturnedRow extends InboxRow {
  readonly tenant: string
  readonly userId: string
}

/** The statement of `returnSnoozed`, apart so that its plan can be asked for. */
export function returnSnoozedStatement(limit: number): Statement {
  return {
    text: `WITH due AS (
        SELECT id AS due_id FROM runs WHERE snoozed_until <= now() ORDER BY snoozed_until LIMIT $1 FOR UPDATE SKIP LOCKED)
      UPDATE runs SET snoozed_until = NULL, seen_at = NULL, read_at = NULL, returned_at = now(), revision = revision + 1
      FROM due WHERE id = due_id
      RETURNING ${INBOX_ROW}, tenant_id AS tenant, user_id AS "userId"`,
    values: [limit],
  }
}

/**
 * Brings back what was put off until now, the longest due first: unread and unseen again. Rows that somebody else is
 * changing are left for the next time, so several callers share the work and each row comes back once. Worker role.
 */
export async function returnSnoozed(tx: Tx, limit: number): Promise<ReturnedRow[]> {
  const { rows } = await tx.query<ReturnedRow>({ ...returnSnoozedStatement(limit), name: 'inbox-return' })
  return rows
}
