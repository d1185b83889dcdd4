import { type InboxItem, inboxItem } from '@carillon/contracts'
import { type InboxFilter, inboxView, unreadCount } from '@carillon/postgres'
import type { EdgeDeps, Position } from '../edge-deps.js'

/** Whose inbox; `userId` is the row's id. */
export interface Whose {
  tenant: string
  userId: string
}

export interface PageWish {
  /** `all` unless said. */
  filter?: InboxFilter
  /** Id of the last item of the page before. */
  before?: string
  /** At most 200. */
  limit: number
}

export interface InboxView {
  notifications: InboxItem[]
  unread: number
  /** `before` of the next page. */
  next: string | null
  position: Position | null
}

/** A page of an inbox, the unread count of the same moment, and from where in the stream to go on. */
export async function readInbox(
  deps: Pick<EdgeDeps, 'database' | 'position'>,
  whose: Whose,
  wish: PageWish,
): Promise<InboxView> {
  const { limit, before, filter = 'all' } = wish
  // taken before the rows: what is stored meanwhile comes again as a frame, and is merged by id
  const position = (await deps.position()) ?? null
  const page = { ...whose, limit, filter, ...(before === undefined ? {} : { before }) }
  const { rows, unread } = await deps.database.inTenant(whose.tenant, (tx) => inboxView(tx, page), {
    readOnly: true,
  })
  return {
    notifications: rows.map(inboxItem),
    unread,
    next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null,
    position,
  }
}

export async function readUnread(
  deps: Pick<EdgeDeps, 'database'>,
  whose: Whose,
): Promise<{ unread: number }> {
  return deps.database.inTenant(whose.tenant, async (tx) => ({ unread: await unreadCount(tx, whose) }), {
    readOnly: true,
  })
}
