import { createHash } from 'node:crypto'
import { deviceId, isUuid, userId } from '@carillon/contracts'
import {
  type DeviceRecord,
  deleteDevice,
  deleteUser,
  findUser,
  listDevices,
  listUsers,
  putDevice,
  putUser,
  type UserRecord,
} from '@carillon/postgres'
import { HttpProblem, sha256 } from '@carillon/service'
import { type Static, Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { normalPhone } from '../phone-number.js'
import { type Principal, personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import {
  DeviceAnswer,
  DeviceSchema,
  TokenAnswer,
  TokenRequestSchema,
  UserAnswer,
  UserSchema,
} from '../schemas/people.js'
import { ExternalId, LimitText, limitOf } from '../schemas/shapes.js'

const tags = ['users']
const User = Type.Object({ id: ExternalId })
const Installation = Type.String({ minLength: 1, maxLength: 128 })
const UserDevice = Type.Object({ id: ExternalId, device: Installation })
const MyDevice = Type.Object({ installation: Installation })

/** Users, their devices, and the tokens with which they sign in. */
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
      const user = await known(deps, tenant, userId(sha256, tenant, request.params.id))
      if (user.status !== 'active') throw new HttpProblem(403, 'SUSPENDED', 'The user is suspended.')
      const deed = { area: 'users', action: 'token-issued', resource: `user:${user.id}` }
      await deps.trail.publish(principal, deed, request.id)
      return deps.authenticator.issueUserToken(
        { tenant, externalId: user.externalId, roles: user.roles },
        request.body.ttlSeconds ?? 3600,
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

  const register = async (
    principal: Principal,
    of: { userId: string; installation: string; correlationId: string },
    body: Static<typeof DeviceSchema>,
  ) => {
    const { tenant } = principal
    const id = installationId(tenant, of.userId, of.installation)
    return deps.outbox.change(tenant, async (tx, tell) => {
      if ((await findUser(tx, { tenant, id: of.userId })) === undefined) throw notFound('user')
      tell(
        deps.trail.fact(
          principal,
          { area: 'devices', action: 'put', resource: `device:${id}`, details: { kind: body.kind } },
          of.correlationId,
        ),
      )
      return putDevice(tx, {
        tenant,
        id,
        userId: of.userId,
        kind: body.kind,
        app: body.app,
        address: addressOf(body),
        addressHash: createHash('sha256')
          .update(body.kind === 'webpush' ? body.endpoint : body.token)
          .digest(),
        locale: body.locale,
      })
    })
  }
  const signOut = (
    principal: Principal,
    of: { userId: string; installation: string; correlationId: string },
  ) => {
    const { tenant } = principal
    const id = isUuid(of.installation) ? of.installation : installationId(tenant, of.userId, of.installation)
    return deps.outbox.change(tenant, async (tx, tell) => {
      const derived = installationId(tenant, of.userId, of.installation)
      const gone =
        (await deleteDevice(tx, { tenant, userId: of.userId, id })) ||
        (derived !== id && (await deleteDevice(tx, { tenant, userId: of.userId, id: derived })))
      if (!gone) throw notFound('device')
      tell(
        deps.trail.fact(
          principal,
          { area: 'devices', action: 'deleted', resource: `device:${id}` },
          of.correlationId,
        ),
      )
    })
  }

  app.get(
    '/users/:id/devices',
    {
      schema: {
        summary: "A user's devices",
        tags,
        params: User,
        response: answers({ 200: Type.Object({ devices: Type.Array(DeviceAnswer) }) }),
      },
    },
    async (request) => {
      const { tenant } = principalOf(request)
      const id = userId(sha256, tenant, request.params.id)
      await known(deps, tenant, id)
      const devices = await deps.database.inTenant(tenant, (tx) => listDevices(tx, { tenant, id }), {
        readOnly: true,
      })
      return { devices: devices.map(shownDevice) }
    },
  )
  const put = { summary: 'Register a device or rotate its token', body: DeviceSchema }
  const deviceAnswers = answers({ 200: DeviceAnswer, 201: DeviceAnswer })
  app.put(
    '/users/:id/devices/:device',
    { schema: { ...put, tags, params: UserDevice, response: deviceAnswers } },
    async (request, reply) => {
      const principal = principalOf(request)
      const device = await register(
        principal,
        {
          userId: userId(sha256, principal.tenant, request.params.id),
          installation: request.params.device,
          correlationId: request.id,
        },
        request.body,
      )
      return reply.code(device.created ? 201 : 200).send(shownDevice(device))
    },
  )
  app.put(
    '/me/devices/:installation',
    { schema: { ...put, tags: ['me'], params: MyDevice, response: deviceAnswers } },
    async (request, reply) => {
      const me = personOf(request)
      const { installation } = request.params
      const device = await register(
        me,
        { userId: me.id, installation, correlationId: request.id },
        request.body,
      )
      return reply.code(device.created ? 201 : 200).send(shownDevice(device))
    },
  )
  const removed = answers({ 204: Type.Null() })
  app.delete(
    '/users/:id/devices/:device',
    { schema: { summary: 'Sign a device out', tags, params: UserDevice, response: removed } },
    async (request, reply) => {
      const principal = principalOf(request)
      await signOut(principal, {
        userId: userId(sha256, principal.tenant, request.params.id),
        installation: request.params.device,
        correlationId: request.id,
      })
      return reply.code(204).send()
    },
  )
  app.delete(
    '/me/devices/:installation',
    { schema: { summary: 'Sign my device out', tags: ['me'], params: MyDevice, response: removed } },
    async (request, reply) => {
      const me = personOf(request)
      const { installation } = request.params
      await signOut(me, { userId: me.id, installation, correlationId: request.id })
      return reply.code(204).send()
    },
  )
}

/** The installation belongs to the user: naming somebody else's reaches nothing. A token moves by its hash. */
function installationId(tenant: string, user: string, installation: string): string {
  return deviceId(sha256, tenant, `installation:${user}`, installation)
}

async function known(deps: EdgeDeps, tenant: string, id: string): Promise<UserRecord> {
  const user = await deps.database.inTenant(tenant, (tx) => findUser(tx, { tenant, id }), { readOnly: true })
  if (user === undefined) throw notFound('user')
  return user
}

function addressOf(device: Static<typeof DeviceSchema>): Record<string, string> {
  if (device.kind === 'fcm') return { token: device.token }
  if (device.kind === 'apns') return { token: device.token, environment: device.environment ?? 'production' }
  return { endpoint: device.endpoint, p256dh: device.p256dh, auth: device.auth }
}

function assertTimezone(timezone: string | null | undefined): void {
  if (timezone === undefined || timezone === null) return
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch {
    throw new HttpProblem(
      400,
      'VALIDATION',
      `"${timezone}" is not a time zone; write one like Europe/Vienna.`,
      {
        field: 'timezone',
      },
    )
  }
}

function shownUser(user: UserRecord): Record<string, unknown> {
  return {
    ...user,
    id: user.externalId,
    createdAt: user.createdAt.toISOString(),
    updatedAt: user.updatedAt.toISOString(),
  }
}

function shownDevice(device: DeviceRecord): Record<string, unknown> {
  return {
    ...device,
    registeredAt: device.registeredAt.toISOString(),
    updatedAt: device.updatedAt.toISOString(),
  }
}
