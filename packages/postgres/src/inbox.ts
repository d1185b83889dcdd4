import type { Lane } from '@carillon/contracts'
import type { Queryable, Statement } from './tx.js'

/** A notification as its run keeps it. `content` is what the inbox shows, rendered; null when it shows nothing. */
export interface InboxRow {
  readonly id: string
  readonly workflow: string
  readonly category: string | null
  readonly lane: Lane
  readonly content: unknown
  readonly createdAt: Date
  readonly seenAt: Date | null
  readonly readAt: Date | null
  readonly archivedAt: Date | null
}

/** `all`: everything that isn't archived. `unread`: of that, what isn't read. `archived`: the rest. */
export type InboxFilter = 'all' | 'unread' | 'archived'
export type InboxMark = 'seen' | 'read' | 'archived'

export interface InboxPage {
  readonly tenant: string
  readonly userId: string
  /** Id of the last row of the page before; absent for the newest. */
  readonly before?: string
  readonly limit: number
  readonly filter: InboxFilter
}

const COLUMNS = `id, workflow_key AS workflow, category, lane, content -> 'inbox' AS content, created_at AS "createdAt",
  seen_at AS "seenAt", read_at AS "readAt", archived_at AS "archivedAt"`

// Word for word the predicates of runs_inbox, runs_unread and runs_archived: only then are those indexes used.
const FILTERS: Readonly<Record<InboxFilter, string>> = {
  all: 'in_inbox AND archived_at IS NULL',
  unread: 'in_inbox AND read_at IS NULL AND archived_at IS NULL',
  archived: 'in_inbox AND archived_at IS NOT NULL',
}

const MARKS: Readonly<Record<InboxMark, string>> = {
  seen: 'seen_at',
  read: 'read_at',
  archived: 'archived_at',
}

/** What waits to be seen, or ends when it is, is judged again at once. */
export const WAKES_ON_SEEN =
  'wake_at = CASE WHEN wake_on_seen AND wake_at > now() THEN now() ELSE wake_at END'

const HIGHEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The statement of `inboxPage`, apart so that its plan can be asked for. */
export function inboxPageStatement(page: InboxPage): Statement {
  return {
    text: `SELECT ${COLUMNS} FROM runs
      WHERE tenant_id = $1 AND user_id = $2 AND id < $3 AND ${FILTERS[page.filter]}
      ORDER BY id DESC LIMIT $4`,
    values: [page.tenant, page.userId, page.before ?? HIGHEST_ID, page.limit],
  }
}

/** A page of somebody's inbox, newest first. Older partitions are not opened once the page is full. */
export async function inboxPage(tx: Queryable, page: InboxPage): Promise<InboxRow[]> {
  return (await tx.query<InboxRow>(inboxPageStatement(page))).rows
}

export interface UnreadCount {
  readonly tenant: string
  readonly userId: string
  /** Counting stops here, 1,000 unless said: this many means "this many or more". */
  readonly atMost?: number
}

/** The statement of `unreadCount`, apart so that its plan can be asked for. */
export function unreadCountStatement(wanted: UnreadCount): Statement {
  return {
    text: `SELECT count(*) AS unread FROM (
        SELECT FROM runs WHERE tenant_id = $1 AND user_id = $2 AND ${FILTERS.unread} LIMIT $3) AS counted`,
    values: [wanted.tenant, wanted.userId, wanted.atMost ?? 1_000],
  }
}

/** How many notifications wait unread, archived ones aside. */
export async function unreadCount(tx: Queryable, wanted: UnreadCount): Promise<number> {
  return (await tx.query<{ unread: number }>(unreadCountStatement(wanted))).rows[0]?.unread ?? 0
}

export interface MarkInbox {
  readonly tenant: string
  readonly userId: string
  readonly ids: readonly string[]
  readonly mark: InboxMark
  /** False takes the mark away. */
  readonly set: boolean
  readonly atMs: number
}

/**
 * Sets or clears a mark and gives the rows that changed, by id; those that had it already are left alone, so a
 * repetition gives none. Reading implies having seen. Ids of other people or tenants change nothing.
 */
export async function markInbox(tx: Queryable, change: MarkInbox): Promise<InboxRow[]> {
  const column = MARKS[change.mark]
  const implied = change.set && change.mark === 'read' ? ', seen_at = coalesce(seen_at, $4)' : ''
  const wakes = change.set && change.mark !== 'archived' ? `, ${WAKES_ON_SEEN}` : ''
  // locked in the order of ids, so that two tabs that mark the same rows can't wait in a circle
  const { rows } = await tx.query<InboxRow>({
    text: `WITH wanted AS (
        SELECT id AS wanted_id FROM runs
        WHERE tenant_id = $1 AND user_id = $2 AND id = ANY ($3::uuid[]) AND in_inbox
          AND (${column} IS NULL) = ($4::timestamptz IS NOT NULL)
        ORDER BY id FOR UPDATE)
      UPDATE runs SET ${column} = $4${implied}${wakes} FROM wanted
      WHERE id = wanted_id AND tenant_id = $1 AND user_id = $2
      RETURNING ${COLUMNS}`,
    values: [change.tenant, change.userId, change.ids, change.set ? new Date(change.atMs) : null],
  })
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1))
}
