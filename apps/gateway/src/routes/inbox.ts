import { randomUUID } from 'node:crypto'
import { type Frame, frameSubject, type InboxItem, STREAMS, shownContent, userId } from '@carillon/contracts'
import {
  clearShown,
  type InboxFilter,
  type InboxMark,
  type InboxRow,
  inboxPage,
  markInbox,
  unreadCount,
} from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { type Static, Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import type { Told } from '../outbox.js'
import { personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { InboxItemAnswer, PositionAnswer } from '../schemas/inbox.js'
import { ExternalId, LimitText, limitOf, Uuid } from '../schemas/shapes.js'

const PageQuery = Type.Object(
  {
    filter: Type.Optional(
      Type.Unsafe<InboxFilter>({
        type: 'string',
        enum: ['all', 'unread', 'archived'],
        description: 'all unless said',
      }),
    ),
    before: Type.Optional(Uuid),
    limit: Type.Optional(LimitText),
  },
  { additionalProperties: false },
)
const PageAnswer = Type.Object({
  notifications: Type.Array(InboxItemAnswer),
  unread: Type.Integer(),
  next: Type.Unsafe<string | null>({ type: ['string', 'null'], description: '`before` of the next page' }),
  position: PositionAnswer,
})
const UnreadAnswer = Type.Object({ unread: Type.Integer() })
const MarkParams = Type.Object({
  id: Uuid,
  mark: Type.Unsafe<InboxMark>({ type: 'string', enum: ['seen', 'read', 'archived'] }),
})

/** Most rows that one read-all changes in one transaction; it goes on until none is left. */
const READ_ALL_CHUNK = 500
const READ_ALL_CHUNKS = 40

export function addInboxRoutes(app: Edge, deps: EdgeDeps): void {
  const page = async (whose: { tenant: string; userId: string }, query: Static<typeof PageQuery>) => {
    // taken before the rows: what is stored meanwhile comes again as a frame, and is merged by id
    const position = (await deps.position()) ?? null
    const limit = limitOf(query.limit)
    const { before, filter = 'all' } = query
    return deps.database.inTenant(
      whose.tenant,
      async (tx) => {
        const rows = await inboxPage(tx, {
          ...whose,
          limit,
          filter,
          ...(before === undefined ? {} : { before }),
        })
        return {
          notifications: rows.map(inboxItem),
          unread: await unreadCount(tx, whose),
          next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null,
          position,
        }
      },
      { readOnly: true },
    )
  }
  const unread = (whose: { tenant: string; userId: string }) =>
    deps.database.inTenant(whose.tenant, async (tx) => ({ unread: await unreadCount(tx, whose) }), {
      readOnly: true,
    })
  const mark = async (
    whose: { tenant: string; userId: string },
    id: string,
    what: InboxMark,
    set: boolean,
  ) => {
    await deps.outbox.change(whose.tenant, async (tx, tell) => {
      const changed = await markInbox(tx, { ...whose, ids: [id], mark: what, set, atMs: deps.now() })
      for (const row of changed) tell(updatedFrame(whose, row))
      if (set && what !== 'seen')
        await clearShown(
          tx,
          changed.map(({ id: read }) => read),
        )
      if (changed.length > 0) return
      // nothing changed: it has the mark already, or it isn't theirs
      const { rowCount } = await tx.query({
        text: 'SELECT FROM runs WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND in_inbox',
        values: [whose.tenant, id, whose.userId],
      })
      if (rowCount === 0) throw notFound('notification')
    })
  }

  app.get(
    '/inbox',
    {
      schema: {
        summary: 'My inbox',
        tags: ['inbox'],
        querystring: PageQuery,
        response: answers({ 200: PageAnswer }),
      },
    },
    (request) => {
      const { tenant, id } = personOf(request)
      return page({ tenant, userId: id }, request.query)
    },
  )
  app.get(
    '/inbox/unread',
    {
      schema: {
        summary: 'How many I have not read',
        tags: ['inbox'],
        response: answers({ 200: UnreadAnswer }),
      },
    },
    (request) => {
      const { tenant, id } = personOf(request)
      return unread({ tenant, userId: id })
    },
  )
  app.post(
    '/inbox/read-all',
    {
      schema: {
        summary: 'Mark everything read',
        tags: ['inbox'],
        response: answers({ 200: Type.Object({ changed: Type.Integer() }) }),
      },
    },
    async (request) => {
      const { tenant, id } = personOf(request)
      const whose = { tenant, userId: id }
      let changed = 0
      for (let chunk = 0; chunk < READ_ALL_CHUNKS; chunk++) {
        const count = await deps.outbox.change(tenant, async (tx, tell) => {
          const rows = await inboxPage(tx, { ...whose, limit: READ_ALL_CHUNK, filter: 'unread' })
          const ids = rows.map((row) => row.id)
          const marked = await markInbox(tx, { ...whose, ids, mark: 'read', set: true, atMs: deps.now() })
          for (const row of marked) tell(updatedFrame(whose, row))
          await clearShown(
            tx,
            marked.map(({ id: read }) => read),
          )
          return marked.length
        })
        changed += count
        if (count < READ_ALL_CHUNK) break
      }
      return { changed }
    },
  )
  app.put(
    '/inbox/:id/:mark',
    {
      schema: {
        summary: 'Mark a notification',
        tags: ['inbox'],
        params: MarkParams,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const { tenant, id } = personOf(request)
      await mark({ tenant, userId: id }, request.params.id, request.params.mark, true)
      return reply.code(204).send()
    },
  )
  app.delete(
    '/inbox/:id/:mark',
    {
      schema: {
        summary: 'Take a mark away',
        tags: ['inbox'],
        params: MarkParams,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const { tenant, id } = personOf(request)
      await mark({ tenant, userId: id }, request.params.id, request.params.mark, false)
      return reply.code(204).send()
    },
  )

  const User = Type.Object({ id: ExternalId })
  app.get(
    '/users/:id/inbox',
    {
      schema: {
        summary: "A user's inbox, for servers",
        tags: ['inbox'],
        params: User,
        querystring: PageQuery,
        response: answers({ 200: PageAnswer }),
      },
    },
    (request) => {
      const { tenant } = principalOf(request)
      return page({ tenant, userId: userId(sha256, tenant, request.params.id) }, request.query)
    },
  )
  app.get(
    '/users/:id/inbox/unread',
    {
      schema: {
        summary: 'How many a user has not read',
        tags: ['inbox'],
        params: User,
        response: answers({ 200: UnreadAnswer }),
      },
    },
    (request) => {
      const { tenant } = principalOf(request)
      return unread({ tenant, userId: userId(sha256, tenant, request.params.id) })
    },
  )
}

/** A stored row as clients see it, here and in frames. */
export function inboxItem(row: InboxRow): InboxItem {
  return {
    id: row.id,
    workflow: row.workflow,
    category: row.category,
    ...shownContent(row.content),
    lane: row.lane,
    createdAt: row.createdAt.toISOString(),
    seenAt: row.seenAt?.toISOString() ?? null,
    readAt: row.readAt?.toISOString() ?? null,
    archivedAt: row.archivedAt?.toISOString() ?? null,
    snoozedUntil: null,
  }
}

/** Tells the person's other devices. The marks are sent whole, so that a repeated frame changes nothing. */
function updatedFrame(whose: { tenant: string; userId: string }, row: InboxRow): Told {
  const { seenAt, readAt, archivedAt } = inboxItem(row)
  const frame: Frame = { type: 'notification.updated', id: row.id, changes: { seenAt, readAt, archivedAt } }
  return {
    stream: STREAMS.live,
    subject: frameSubject(whose.tenant, 'user', whose.userId),
    messageId: randomUUID(),
    body: JSON.stringify(frame),
  }
}
