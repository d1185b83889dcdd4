import { userId } from '@carillon/contracts'
import { deleteUser, findUser, listUsers, putUser, type UserRecord } from '@carillon/postgres'
import { permissionsOf } from '@carillon/rooms'
import { HttpProblem, sha256 } from '@carillon/service'
import { Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { normalPhone } from '../phone-number.js'
import { personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { ChannelTokenSchema } from '../schemas/channels.js'
import { TokenAnswer, TokenRequestSchema, UserAnswer, UserSchema } from '../schemas/people.js'
import { ExternalId, LimitText, limitOf } from '../schemas/shapes.js'
import { assertTimezone } from '../timezone.js'

const tags = ['users']
const User = Type.Object({ id: ExternalId })
/** What everybody in a room is shown of a user travels with each of their publications. */
const MAX_INFO_BYTES = 1_024

/** Users, and the tokens with which they sign in. */
export function addUserRoutes(app: Edge, deps: EdgeDeps): void {
  app.get(
    '/users',
    {
      schema: {
        summary: 'Users by id',
        tags,
        querystring: Type.Object(
          {
            after: Type.Optional(ExternalId),
            role: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
            limit: Type.Optional(LimitText),
          },
          { additionalProperties: false },
        ),
        response: answers({
          200: Type.Object({
            users: Type.Array(UserAnswer),
            next: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
          }),
        }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const { after, role } = request.query
      const limit = limitOf(request.query.limit)
      const users = await deps.database.inTenant(
        tenant,
        (tx) => listUsers(tx, { tenant, after, role, limit }),
        {
          readOnly: true,
        },
      )
      return {
        users: users.map(shownUser),
        next: users.length === limit ? (users.at(-1)?.externalId ?? null) : null,
      }
    },
  )
  app.put(
    '/users/:id',
    {
      schema: {
        summary: 'Make or change a user',
        tags,
        params: User,
        body: UserSchema,
        response: answers({ 200: UserAnswer, 201: UserAnswer }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const who = { tenant, id: userId(sha256, tenant, request.params.id), externalId: request.params.id }
      assertTimezone(request.body.timezone)
      const { phone } = request.body
      const profile =
        typeof phone === 'string' ? { ...request.body, phone: normalPhone(phone) } : request.body
      const user = await deps.outbox.change(tenant, async (tx, tell) => {
        tell(
          deps.trail.fact(
            principal,
            { area: 'users', action: 'put', resource: `user:${who.id}` },
            request.id,
          ),
        )
        return putUser(tx, who, profile)
      })
      return reply.code(user.created ? 201 : 200).send(shownUser(user))
    },
  )
  app.get(
    '/users/:id',
    { schema: { summary: 'One user', tags, params: User, response: answers({ 200: UserAnswer }) } },
    async (request) => {
      const { tenant } = principalOf(request)
      return shownUser(await known(deps, tenant, userId(sha256, tenant, request.params.id)))
    },
  )
  app.delete(
    '/users/:id',
    {
      schema: {
        summary: 'Delete a user with devices, subscriptions and preferences',
        description:
          'Nothing is sent to them any more; what was sent stays in the history for as long as it is kept. Tokens of theirs that are still good are refused within three seconds, and connections end within about five, for 30 days or until the user is made again.',
        tags,
        params: User,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const id = userId(sha256, tenant, request.params.id)
      await deps.outbox.change(tenant, async (tx, tell) => {
        if (!(await deleteUser(tx, { tenant, id }))) throw notFound('user')
        tell(
          deps.trail.fact(
            principal,
            { area: 'users', action: 'deleted', resource: `user:${id}` },
            request.id,
          ),
        )
      })
      return reply.code(204).send()
    },
  )
  app.post(
    '/users/:id/token',
    {
      schema: {
        summary: 'A token with which this user signs in',
        tags,
        params: User,
        body: TokenRequestSchema,
        response: answers({ 200: TokenAnswer }),
      },
      config: { secretAnswer: true },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const user = await signedIn(deps, tenant, request.params.id)
      const deed = { area: 'users', action: 'token-issued', resource: `user:${user.id}` }
      await deps.trail.publish(principal, deed, request.id)
      const { channels } = request.body
      return deps.authenticator.issueUserToken(
        { tenant, externalId: user.externalId, roles: user.roles, channels },
        request.body.ttlSeconds ?? 3600,
      )
    },
  )
  app.post(
    '/users/:id/channel-tokens',
    {
      schema: {
        summary: 'A token with which this user subscribes to one channel',
        description: 'Given with the subscription; good for nothing else.',
        tags,
        params: User,
        body: ChannelTokenSchema,
        response: answers({ 200: TokenAnswer }),
      },
      config: { secretAnswer: true },
    },
    async (request) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { channel, permissions = ['subscribe'], ttlSeconds = 3600, info } = request.body
      if (info !== undefined && Buffer.byteLength(JSON.stringify(info)) > MAX_INFO_BYTES) {
        const detail = `info may have ${MAX_INFO_BYTES} bytes as JSON.`
        throw new HttpProblem(400, 'VALIDATION', detail, { field: 'info' })
      }
      const user = await signedIn(deps, tenant, request.params.id)
      const resource = `user:${user.id}`
      const details = { channel, permissions: permissions.join(' ') }
      await deps.trail.publish(
        principal,
        { area: 'users', action: 'channel-token-issued', resource, details },
        request.id,
      )
      return deps.authenticator.issueChannelToken(
        { tenant, externalId: user.externalId },
        { channel, permissions: permissionsOf(permissions), info },
        ttlSeconds,
      )
    },
  )
  app.get(
    '/me',
    { schema: { summary: 'Who I am', tags: ['me'], response: answers({ 200: UserAnswer }) } },
    async (request) => {
      const { tenant, id } = personOf(request)
      return shownUser(await known(deps, tenant, id))
    },
  )
}

async function known(deps: EdgeDeps, tenant: string, id: string): Promise<UserRecord> {
  const user = await deps.database.inTenant(tenant, (tx) => findUser(tx, { tenant, id }), { readOnly: true })
  if (user === undefined) throw notFound('user')
  return user
}

/** A user who may have tokens. @throws HttpProblem 404 or 403 */
async function signedIn(deps: EdgeDeps, tenant: string, externalId: string): Promise<UserRecord> {
  const user = await known(deps, tenant, userId(sha256, tenant, externalId))
  if (user.status !== 'active') throw new HttpProblem(403, 'SUSPENDED', 'The user is suspended.')
  return user
}

function shownUser(user: UserRecord): Record<string, unknown> {
  return {
    ...user,
    id: user.externalId,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  }
}
