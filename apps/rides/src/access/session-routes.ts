import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { claimsFor } from '../chat/channel-answer.js'
import { allowed } from '../chat/chat.js'
import { findRide } from '../ride/ride-store.js'
import type { RidesDeps } from '../rides-deps.js'
import { personOf, servicesOnly } from './callers.js'

const Person = Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) })
const Ride = Type.Object({ id: Type.String({ format: 'uuid' }) })

/** What somebody needs to be let in: by us, and by Carillon. */
export const sessionRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, deps) => {
  app.post(
    '/people/:id/session',
    { schema: { params: Person }, onRequest: servicesOnly },
    async (request, reply) => reply.code(201).send(deps.persons.issue(request.params.id, deps.now())),
  )

  app.get('/rides/:id/token', { schema: { params: Ride } }, async (request) => {
    const user = personOf(request)
    const now = deps.now()
    const { ride, rights } = allowed(await findRide(deps.pool, request.params.id), { user, now })
    const claims = claimsFor(ride, rights, now)
    const { channels, answersOnNats } = deps
    if (answersOnNats) {
      const { token, expiresAt } = await channels.userToken(user, [])
      return { token, expiresAt, channels: claims.map(({ channel }) => ({ channel })) }
    }
    // the token of a connection lets into this ride; who is connected already shows those of the channels
    const [{ token, expiresAt }, ...tokens] = await Promise.all([
      channels.userToken(user, claims),
      ...claims.map(async (claim) => ({
        channel: claim.channel,
        ...(await channels.channelToken(user, claim)),
      })),
    ])
    return { token, expiresAt, channels: tokens }
  })
}
