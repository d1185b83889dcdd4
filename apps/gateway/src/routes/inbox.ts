import type { EdgeDeps } from '../edge-deps.js'
import { readInbox, readUnread, type Whose } from '../inbox/read-inbox.js'
import { personOf } from '../principal.js'
import { answers, type Edge } from '../route.js'
import { InboxPageAnswer, InboxPageQuery, pageWishOf, UnreadAnswer } from '../schemas/inbox.js'
import { addInboxMarkRoutes } from './inbox-marks.js'
import { addUserInboxRoutes } from './user-inbox.js'

/** The inbox of the signed-in person. */
export function addInboxRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/inbox',
    {
      schema: {
        summary: 'My inbox',
        description:
          'Newest first. Subscribe from `position` and merge frames by id: then nothing is missed between page and stream.',
        tags: ['inbox'],
        querystring: InboxPageQuery,
        response: answers({ 200: InboxPageAnswer }),
      },
    },
    (request) => readInbox(deps, whoseOf(request), pageWishOf(request.query)),
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
    (request) => readUnread(deps, whoseOf(request)),
  )
  addInboxMarkRoutes(app, deps)
  addUserInboxRoutes(app, deps)
}

/** The signed-in person's inbox. @throws HttpProblem 401 or 403 */
function whoseOf(request: Parameters<typeof personOf>[0]): Whose {
  const { tenant, id } = personOf(request)
  return { tenant, userId: id }
}
