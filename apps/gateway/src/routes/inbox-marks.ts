import { findInboxRow, INBOX_MARKS, type InboxMark } from '@carillon/postgres'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { createInboxChanges } from '../inbox/change-inbox.js'
import type { Whose } from '../inbox/read-inbox.js'
import { snoozeTime } from '../inbox/snooze-time.js'
import { personOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { ChangedAnswer, SnoozeSchema } from '../schemas/inbox.js'
import { oneOf, Uuid } from '../schemas/shapes.js'

const IdParams = Type.Object({ id: Uuid })
const MarkParams = Type.Object({ id: Uuid, mark: oneOf(INBOX_MARKS) })
const NOTHING = answers({ 204: Type.Null() })

/** What people do to what is in their inbox. Repeating a call changes nothing. */
export function addInboxMarkRoutes(app: Edge, deps: EdgeDeps): void {
  const changes = createInboxChanges(deps)

  /** Nothing changed: it is so already, or it isn't theirs. `gone` may be asked for again. */
  const assertTheirs = async (whose: Whose, id: string, gone: boolean): Promise<void> => {
    const found = await deps.database.inTenant(whose.tenant, (tx) => findInboxRow(tx, { ...whose, id }), {
      readOnly: true,
    })
    if (found === undefined || (found.removed && !gone)) throw notFound('notification')
  }
  const mark = async (request: FastifyRequest<{ Params: { id: string; mark: InboxMark } }>, set: boolean) => {
    const whose = whoseOf(request)
    const { id, mark: what } = request.params
    if ((await changes.mark(whose, [id], what, set)) === 0) await assertTheirs(whose, id, false)
  }
  const snooze = async (request: FastifyRequest<{ Params: { id: string } }>, until: Date | null) => {
    const whose = whoseOf(request)
    const { id } = request.params
    if ((await changes.snooze(whose, [id], until)) === 0) await assertTheirs(whose, id, false)
  }

  app.post(
    '/inbox/read-all',
    {
      schema: {
        summary: 'Mark everything read',
        description: 'Everything that is in the inbox; what is archived or put off stays as it is.',
        tags: ['inbox'],
        response: answers({ 200: ChangedAnswer }),
      },
    },
    async (request) => ({ changed: await changes.readAll(whoseOf(request)) }),
  )
  app.put(
    '/inbox/:id/snoozed',
    {
      schema: {
        summary: 'Put a notification off until a time',
        description:
          'It leaves the inbox and comes back by itself: unread and unseen, in its old place. Ends with archiving.',
        tags: ['inbox'],
        params: IdParams,
        body: SnoozeSchema,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      await snooze(request, snoozeTime(request.body.until, deps.now()))
      return reply.code(204).send()
    },
  )
  app.delete(
    '/inbox/:id/snoozed',
    {
      schema: {
        summary: 'Take a notification back that was put off',
        description: 'It is in the inbox again, read or unread as it was.',
        tags: ['inbox'],
        params: IdParams,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      await snooze(request, null)
      return reply.code(204).send()
    },
  )
  app.put(
    '/inbox/:id/:mark',
    {
      schema: {
        summary: 'Mark a notification',
        description: 'Reading implies having seen. Archiving ends a snooze.',
        tags: ['inbox'],
        params: MarkParams,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      await mark(request, true)
      return reply.code(204).send()
    },
  )
  app.delete(
    '/inbox/:id/:mark',
    {
      schema: { summary: 'Take a mark away', tags: ['inbox'], params: MarkParams, response: NOTHING },
    },
    async (request, reply) => {
      await mark(request, false)
      return reply.code(204).send()
    },
  )
  app.delete(
    '/inbox/:id',
    {
      schema: {
        summary: 'Remove a notification for good',
        description: 'No list of the inbox has it any more; the history and its explanation keep it.',
        tags: ['inbox'],
        params: IdParams,
        response: NOTHING,
      },
    },
    async (request, reply) => {
      const whose = whoseOf(request)
      const { id } = request.params
      if ((await changes.remove(whose, [id])) === 0) await assertTheirs(whose, id, true)
      return reply.code(204).send()
    },
  )
}

function whoseOf(request: FastifyRequest): Whose {
  const { tenant, id } = personOf(request)
  return { tenant, userId: id }
}
