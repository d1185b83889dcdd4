import type { StoredNotification } from '@carillon/contracts'
import type { Queryable, Statement } from './tx.js'

/** A notification as its run keeps it. */
export type InboxRow = StoredNotification

/**
 * `all`: what is in the inbox. `unread`: of that, what isn't read. `archived` and `snoozed`: what was put away, for good
 * or until later; nothing is both. What was removed is in none.
 */
export const INBOX_FILTERS = ['all', 'unread', 'archived', 'snoozed'] as const
export type InboxFilter = (typeof INBOX_FILTERS)[number]

export interface InboxPage {
  readonly tenant: string
  readonly userId: string
  /** Id of the last row of the page before; absent for the newest. */
  readonly before?: string
  readonly limit: number
  readonly filter: InboxFilter
}

/** Columns of `runs` that make an InboxRow. */
export const INBOX_ROW = `id, workflow_key AS workflow, category, lane, content -> 'inbox' AS content, created_at AS "createdAt",
  seen_at AS "seenAt", read_at AS "readAt", archived_at AS "archivedAt", snoozed_until AS "snoozedUntil", revision`

/** What people still have, wherever it is put away. */
export const IN_INBOX = 'in_inbox AND removed_at IS NULL'

// the predicates of runs_shown, runs_shown_unread, runs_shown_archived and runs_snoozed: only then are those indexes used
const SHOWN = `${IN_INBOX} AND archived_at IS NULL AND snoozed_until IS NULL`
const FILTERS: Readonly<Record<InboxFilter, string>> = {
  all: SHOWN,
  unread: `${SHOWN} AND read_at IS NULL`,
  archived: `${IN_INBOX} AND archived_at IS NOT NULL`,
  snoozed: `${IN_INBOX} AND snoozed_until IS NOT NULL`,
}

/** Counting stops here: this many means "this many or more". */
export const MOST_UNREAD = 1_000

/** Counts a person's unread notifications: one meaning of the number, whoever shows it. Arguments are SQL. */
export function countUnread(tenant: string, userId: string, atMost: string): string {
  return `SELECT count(*) AS unread FROM (
    SELECT FROM runs WHERE tenant_id = ${tenant} AND user_id = ${userId} AND ${FILTERS.unread} LIMIT ${atMost}) AS counted`
}

const HIGHEST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** The statement of `inboxPage`, apart so that its plan can be asked for. */
export function inboxPageStatement(page: InboxPage): Statement {
  return {
    text: `SELECT ${INBOX_ROW} FROM runs
      WHERE tenant_id = $1 AND user_id = $2 AND id < $3 AND ${FILTERS[page.filter]}
      ORDER BY id DESC LIMIT $4`,
    values: [page.tenant, page.userId, page.before ?? HIGHEST_ID, page.limit],
  }
}

/** A page of somebody's inbox, newest first. Older partitions are not opened once the page is full. */
export async function inboxPage(tx: Queryable, page: InboxPage): Promise<InboxRow[]> {
  return (await tx.query<InboxRow>(inboxPageStatement(page))).rows
}

/** A page together with the unread count: one statement, so that both are of the same moment. */
export async function inboxView(
  tx: Queryable,
  page: InboxPage,
): Promise<{ rows: InboxRow[]; unread: number }> {
  const { text, values = [] } = inboxPageStatement(page)
  const { rows } = await tx.query<{ unread: number } & (InboxRow | { id: null })>({
    text: `SELECT counted.unread, page.* FROM (${countUnread('$1', '$2', '$5')}) AS counted
      LEFT JOIN (${text}) AS page ON true ORDER BY page.id DESC`,
    values: [...values, MOST_UNREAD],
  })
  return {
    rows: rows.flatMap((row) => {
      if (row.id === null) return []
      const { unread: _, ...shown } = row
      return [shown]
    }),
    unread: rows[0]?.unread ?? 0,
  }
}

export interface UnreadCount {
  readonly tenant: string
  readonly userId: string
  /** Where counting stops; `MOST_UNREAD` unless said. */
  readonly atMost?: number
}

/** The statement of `unreadCount`, apart so that its plan can be asked for. */
export function unreadCountStatement(wanted: UnreadCount): Statement {
  return {
    text: countUnread('$1', '$2', '$3'),
    values: [wanted.tenant, wanted.userId, wanted.atMost ?? MOST_UNREAD],
  }
}

/** How many notifications wait unread in the inbox; what was put away isn't counted. */
export async function unreadCount(tx: Queryable, wanted: UnreadCount): Promise<number> {
  return (await tx.query<{ unread: number }>(unreadCountStatement(wanted))).rows[0]?.unread ?? 0
}

/** What somebody had, put away or even removed; undefined when it was never theirs. */
export async function findInboxRow(
  tx: Queryable,
  wanted: { tenant: string; userId: string; id: string },
): Promise<{ removed: boolean } | undefined> {
  const { rows } = await tx.query<{ removed: boolean }>({
    text: `SELECT removed_at IS NOT NULL AS removed FROM runs
      WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND in_inbox`,
    values: [wanted.tenant, wanted.userId, wanted.id],
  })
  return rows[0]
}
