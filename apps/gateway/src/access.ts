import type { ApiScope } from '@carillon/postgres'

/** Who may call a route. What isn't listed here isn't served: a route without an entry fails the start. */
export interface Access {
  /** An API key needs one of these; `admin` is always enough. Absent: no key may. */
  scopes?: readonly ApiScope[]
  /** A signed-in person may, for their own things. */
  user?: true
  /** Nobody needs to sign in: the items of the request prove themselves. */
  anonymous?: true
  /** A provider calls back, all its messages from a few addresses: counted by itself. */
  callback?: true
  /** Takes no body. */
  noBody?: true
}

const key = (...scopes: ApiScope[]): Access => ({ scopes })
const keyWithoutBody = (...scopes: ApiScope[]): Access => ({ scopes, noBody: true })
const person = (): Access => ({ user: true })
const personWithoutBody = (): Access => ({ user: true, noBody: true })

export const ACCESS: Readonly<Record<string, Access>> = {
  'POST /v1/events': key('events:write'),
  'GET /v1/events': key('workflows:write'),
  'GET /v1/events/:id': key('events:write', 'workflows:write'),
  'GET /v1/events/:id/explain': { scopes: ['events:write', 'workflows:write'], user: true },
  'POST /v1/workflows/:key/trigger': key('events:write', 'notifications:write'),
  'POST /v1/workflows/:key/cancel': key('events:write', 'notifications:write'),
  'POST /v1/notifications': key('notifications:write'),
  'GET /v1/notifications/:id': { scopes: ['notifications:write', 'inbox:read'], user: true },
  'GET /v1/notifications/:id/status': { scopes: ['notifications:write', 'inbox:read'], user: true },
  'GET /v1/notifications/:id/explain': { scopes: ['notifications:write', 'inbox:read'], user: true },
  'GET /v1/users': key('users:read', 'users:write'),
  'PUT /v1/users/:id': key('users:write'),
  'GET /v1/users/:id': key('users:read', 'users:write'),
  'DELETE /v1/users/:id': keyWithoutBody('users:write'),
  'GET /v1/users/:id/devices': key('users:read', 'users:write'),
  'PUT /v1/users/:id/devices/:device': key('users:write'),
  'DELETE /v1/users/:id/devices/:device': keyWithoutBody('users:write'),
  'POST /v1/users/:id/token': key('users:write'),
  'GET /v1/users/:id/topics': key('users:read', 'users:write'),
  'GET /v1/users/:id/preferences': key('users:read', 'users:write'),
  'PUT /v1/users/:id/preferences': key('users:write'),
  'GET /v1/users/:id/inbox': key('inbox:read'),
  'GET /v1/users/:id/inbox/unread': key('inbox:read'),
  'POST /v1/people/lookup': key('users:read', 'users:write'),
  'POST /v1/people/members': key('users:read', 'users:write'),
  'GET /v1/rules': key('workflows:write'),
  'GET /v1/me': person(),
  'PUT /v1/me/devices/:installation': person(),
  'DELETE /v1/me/devices/:installation': personWithoutBody(),
  'GET /v1/me/topics': person(),
  'PUT /v1/me/topics/:topic': personWithoutBody(),
  'DELETE /v1/me/topics/:topic': personWithoutBody(),
  'GET /v1/users/:id/preferences/effective': key('users:read', 'users:write'),
  'GET /v1/me/preferences/effective': person(),
  'GET /v1/quiet-hours': key('users:read', 'users:write'),
  'PUT /v1/quiet-hours': key('admin'),
  'DELETE /v1/quiet-hours': keyWithoutBody('admin'),
  'GET /v1/users/:id/quiet-hours': key('users:read', 'users:write'),
  'PUT /v1/users/:id/quiet-hours': key('users:write'),
  'DELETE /v1/users/:id/quiet-hours': keyWithoutBody('users:write'),
  'GET /v1/me/quiet-hours': person(),
  'PUT /v1/me/quiet-hours': person(),
  'DELETE /v1/me/quiet-hours': personWithoutBody(),
  'GET /v1/tenant': key('users:read', 'users:write'),
  'PUT /v1/tenant': key('admin'),
  'GET /v1/caps': key('users:read', 'users:write'),
  'PUT /v1/caps': key('admin'),
  'GET /v1/me/preferences': person(),
  'PUT /v1/me/preferences': person(),
  'GET /v1/preferences': key('users:read', 'users:write'),
  'PUT /v1/preferences': key('admin'),
  'GET /v1/topics/:topic/subscribers': key('users:read', 'users:write'),
  'POST /v1/topics/:topic/subscribers': key('users:write'),
  'PUT /v1/topics/:topic/subscribers/:user': keyWithoutBody('users:write'),
  'DELETE /v1/topics/:topic/subscribers/:user': keyWithoutBody('users:write'),
  'GET /v1/categories': key('workflows:write', 'users:read'),
  'PUT /v1/categories/:key': key('workflows:write'),
  'GET /v1/workflows': key('workflows:write'),
  'GET /v1/workflows/:key': key('workflows:write'),
  'GET /v1/workflows/:key/versions': key('workflows:write'),
  'POST /v1/workflows/validate': key('workflows:write'),
  'POST /v1/workflows/:key/versions/:version/publish': keyWithoutBody('workflows:write'),
  'GET /v1/workflows/:key/shadow': key('workflows:write'),
  'DELETE /v1/workflows/:key/shadow': keyWithoutBody('workflows:write'),
  'PUT /v1/workflows/:key': key('workflows:write'),
  'DELETE /v1/workflows/:key': keyWithoutBody('workflows:write'),
  'GET /v1/templates': key('workflows:write'),
  'GET /v1/templates/:key': key('workflows:write'),
  'GET /v1/templates/:key/versions': key('workflows:write'),
  'PUT /v1/templates/:key': key('workflows:write'),
  'POST /v1/templates/:key/publish': key('workflows:write'),
  'DELETE /v1/templates/:key': keyWithoutBody('workflows:write'),
  'GET /v1/providers': key('admin'),
  'PUT /v1/providers/:kind': key('admin'),
  'DELETE /v1/providers/:kind': keyWithoutBody('admin'),
  'POST /v1/providers/:kind/check': keyWithoutBody('admin'),
  'POST /v1/providers/:kind/resume': keyWithoutBody('admin'),
  'GET /v1/suppressions': key('users:read', 'users:write'),
  'PUT /v1/suppressions/:kind/:address': key('users:write'),
  'DELETE /v1/suppressions/:kind/:address': keyWithoutBody('users:write'),
  'GET /v1/keys': key('admin'),
  'POST /v1/keys': key('admin'),
  'DELETE /v1/keys/:id': keyWithoutBody('admin'),
  'GET /v1/inbox': person(),
  'GET /v1/inbox/unread': person(),
  'POST /v1/inbox/read-all': personWithoutBody(),
  'PUT /v1/inbox/:id/:mark': personWithoutBody(),
  'DELETE /v1/inbox/:id/:mark': personWithoutBody(),
  'GET /v1/unsubscribe/:token': { anonymous: true },
  'POST /v1/unsubscribe/:token': { anonymous: true },
  'POST /v1/unsubscribe/:token/undo': { anonymous: true },
  'POST /v1/callbacks/twilio/:provider': { anonymous: true, callback: true },
  'POST /v1/receipts': { scopes: ['receipts:write'], anonymous: true },
  'GET /v1/audit': key('admin'),
}
