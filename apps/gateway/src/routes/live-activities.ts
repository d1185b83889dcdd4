import { deleteLiveActivity, listDevices, putLiveActivity } from '@carillon/postgres'
import { type Static, Type } from 'typebox'
import type { EdgeDeps } from '../edge-deps.js'
import { personOf } from '../principal.js'
import { notFound } from '../problems.js'
import { answers, type Edge } from '../route.js'
import { LiveActivitySchema } from '../schemas/people.js'
import { installationId } from './devices.js'

const Activity = Type.Object({
  installation: Type.String({ minLength: 1, maxLength: 128 }),
  activity: Type.String({
    minLength: 1,
    maxLength: 128,
    description: 'The id that workflows name, or `start` for the token that starts activities.',
  }),
})

/** Where the Live Activities of an iPhone are updated. */
export function addLiveActivityRoutes(app: Edge, deps: EdgeDeps): void {
  const keyOf = (
    { tenant, id }: { tenant: string; id: string },
    { installation, activity }: Static<typeof Activity>,
  ) => ({ tenant, deviceId: installationId(tenant, id, installation), activity })

  app.put(
    '/me/devices/:installation/live-activities/:activity',
    {
      schema: {
        summary: 'Tell where a Live Activity of mine is updated',
        tags: ['me'],
        params: Activity,
        body: LiveActivitySchema,
        response: answers({ 200: Type.Object({ activity: Type.String() }) }),
      },
    },
    async (request, reply) => {
      const me = personOf(request)
      const key = keyOf(me, request.params)
      await deps.outbox.change(me.tenant, async (tx) => {
        const devices = await listDevices(tx, me)
        if (!devices.some(({ id }) => id === key.deviceId)) throw notFound('device')
        await putLiveActivity(tx, key, request.body.token)
      })
      return reply.send({ activity: key.activity })
    },
  )
  app.delete(
    '/me/devices/:installation/live-activities/:activity',
    {
      schema: {
        summary: 'Tell that a Live Activity of mine is over',
        tags: ['me'],
        params: Activity,
        response: answers({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const me = personOf(request)
      const gone = await deps.outbox.change(me.tenant, (tx) =>
        deleteLiveActivity(tx, keyOf(me, request.params)),
      )
      if (!gone) throw notFound('live activity')
      return reply.code(204).send()
    },
  )
}
