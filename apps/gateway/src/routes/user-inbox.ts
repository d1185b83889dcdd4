import { userId } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { readInbox, readUnread, type Whose } from '../inbox/read-inbox.js'
import { principalOf } from '../principal.js'
import { answers, type Edge } from '../route.js'
import { InboxPageAnswer, InboxPageQuery, pageWishOf, UnreadAnswer } from '../schemas/inbox.js'
import { ExternalId } from '../schemas/shapes.js'

const User = Type.Object({ id: ExternalId })

/** Somebody's inbox, for servers. */
export function addUserInboxRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/users/:id/inbox',
    {
      schema: {
        summary: "A user's inbox, for servers",
        tags: ['inbox'],
        params: User,
        querystring: InboxPageQuery,
        response: answers({ 200: InboxPageAnswer }),
      },
    },
    (request) => readInbox(deps, whoseOf(request, request.params.id), pageWishOf(request.query)),
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
    (request) => readUnread(deps, whoseOf(request, request.params.id)),
  )
}

function whoseOf(request: FastifyRequest, externalId: string): Whose {
  const { tenant } = principalOf(request)
  return { tenant, userId: userId(sha256, tenant, externalId) }
}
