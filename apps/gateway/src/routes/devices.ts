import { createHash } from 'node:crypto'
import { deviceId, isUuid, userId } from '@carillon/contracts'
import { type DeviceRecord, deleteDevice, findUser, listDevices, putDevice } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { type Static, Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { type Principal, personOf, principalOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { DeviceAnswer, DeviceSchema } from '../schemas/people.js'
import { ExternalId } from '../schemas/shapes.js'

const tags = ['users']
const User = Type.Object({ id: ExternalId })
const Installation = Type.String({ minLength: 1, maxLength: 128 })
const UserDevice = Type.Object({ id: ExternalId, device: Installation })
const MyDevice = Type.Object({ installation: Installation })

/** The devices of people: installations of apps and browsers. */
export function addDeviceRoutes(app: Edge, deps: EdgeDeps): void {
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
      const devices = await deps.database.inTenant(
        tenant,
        async (tx) => {
          if ((await findUser(tx, { tenant, id })) === undefined) throw notFound('user')
          return listDevices(tx, { tenant, id })
        },
        { readOnly: true },
      )
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
export function installationId(tenant: string, user: string, installation: string): string {
  return deviceId(sha256, tenant, `installation:${user}`, installation)
}

function addressOf(device: Static<typeof DeviceSchema>): Record<string, string> {
  if (device.kind === 'fcm') return { token: device.token }
  if (device.kind === 'apns') return { token: device.token, environment: device.environment ?? 'production' }
  return { endpoint: device.endpoint, p256dh: device.p256dh, auth: device.auth }
}

function shownDevice(device: DeviceRecord): Record<string, unknown> {
  return {
    ...device,
    registeredAt: device.registeredAt.toISOString(),
    updatedAt: device.updatedAt.toISOString(),
  }
}
