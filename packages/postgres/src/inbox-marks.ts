import { IN_INBOX, INBOX_ROW, type InboxRow } from './inbox.js'
import type { Queryable } from './tx.js'

/** Marks that are set and taken away by themselves; snoozing has a time of its own. */
export const INBOX_MARKS = ['seen', 'read', 'archived'] as const
export type InboxMark = (typeof INBOX_MARKS)[number]

/** Which of whose notifications change. Ids of other people or tenants, and what was removed, change nothing. */
export interface InboxChange {
  readonly tenant: string
  readonly userId: string
  readonly ids: readonly string[]
  readonly atMs: number
}

export interface MarkInbox extends InboxChange {
  readonly mark: InboxMark
  /** False takes the mark away. */
  readonly set: boolean
}

/** What waits to be seen, or ends when it is, is judged again at once. */
export const WAKES_ON_SEEN =
  'wake_at = CASE WHEN wake_on_seen AND wake_at > now() THEN now() ELSE wake_at END'

const SEEN = `seen_at = coalesce(seen_at, $4), ${WAKES_ON_SEEN}`

/** `where`: what isn't so yet. `set`: how it becomes so; `$4` is the moment. */
const MARKING: Readonly<Record<InboxMark, { where: string; set: string }>> = {
  seen: { where: 'seen_at IS NULL', set: SEEN },
  read: { where: 'read_at IS NULL', set: `read_at = $4, ${SEEN}` },
  // what is done with doesn't come back
  archived: { where: 'archived_at IS NULL', set: 'archived_at = $4, snoozed_until = NULL' },
}
const UNMARKING: Readonly<Record<InboxMark, { where: string; set: string }>> = {
  seen: { where: 'seen_at IS NOT NULL', set: 'seen_at = NULL' },
  read: { where: 'read_at IS NOT NULL', set: 'read_at = NULL' },
  archived: { where: 'archived_at IS NOT NULL', set: 'archived_at = NULL' },
}

/**
 * Sets or clears a mark and gives the rows that changed, by id; those that had it already are left alone, so a
 * repetition gives none. Reading implies having seen; archiving ends a snooze.
 */
export async function markInbox(tx: Queryable, change: MarkInbox): Promise<InboxRow[]> {
  return change.set
    ? changeRows(tx, change, MARKING[change.mark], [new Date(change.atMs)])
    : changeRows(tx, change, UNMARKING[change.mark], [])
}

/**
 * Puts notifications off until a time, or takes them back at once (`until` null), and gives the rows that changed. What
 * is put off was seen, and leaves the archive.
 */
export async function snoozeInbox(
  tx: Queryable,
  change: InboxChange & { readonly until: Date | null },
): Promise<InboxRow[]> {
  if (change.until === null) {
    const taken = { where: 'snoozed_until IS NOT NULL', set: 'snoozed_until = NULL' }
    return changeRows(tx, change, taken, [])
  }
  const putOff = {
    where: 'snoozed_until IS DISTINCT FROM $5::timestamptz',
    set: `snoozed_until = $5, archived_at = NULL, ${SEEN}`,
  }
  return changeRows(tx, change, putOff, [new Date(change.atMs), change.until])
}

/** Takes notifications out of the inbox for good and gives those that were in it. The history keeps them; they count as seen. */
export async function removeFromInbox(tx: Queryable, change: InboxChange): Promise<InboxRow[]> {
  const gone = { where: 'true', set: `removed_at = $4, snoozed_until = NULL, ${SEEN}` }
  return changeRows(tx, change, gone, [new Date(change.atMs)])
}

async function changeRows(
  tx: Queryable,
  change: InboxChange,
  how: { where: string; set: string },
  values: readonly unknown[],
): Promise<InboxRow[]> {
  // locked in the order of ids, so that two tabs that mark the same rows can't wait in a circle
  const { rows } = await tx.query<InboxRow>({
    text: `WITH wanted AS (
        SELECT id AS wanted_id FROM runs
        WHERE tenant_id = $1 AND user_id = $2 AND id = ANY ($3::uuid[]) AND ${IN_INBOX} AND ${how.where}
        ORDER BY id FOR UPDATE)
      UPDATE runs SET ${how.set}, revision = revision + 1 FROM wanted
      WHERE id = wanted_id AND tenant_id = $1 AND user_id = $2
      RETURNING ${INBOX_ROW}`,
    values: [change.tenant, change.userId, change.ids, ...values],
  })
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1))
}
