import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { carillonProblem } from '../carillon-problem.js'
import { type ChannelClaim, claimsFor } from '../chat/channel-answer.js'
import { allowed } from '../chat/chat.js'
import { plainText } from '../plain-text.js'
import { findRide } from '../ride/ride-store.js'
import type { RidesDeps } from '../rides-deps.js'
import { personOf, servicesOnly } from './callers.js'

const Person = Type.Object({ id: plainText(128) })
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
    try {
      return await tokensFor(deps, user, claims)
    } catch (cause) {
      throw carillonProblem(cause, 'Carillon gives no token now.')
    }
  })
}

/** The token of a connection, which lets into the ride's channels; who is connected already shows those of the channels. */
async function tokensFor(
  { carillon, answersOnNats }: Pick<RidesDeps, 'carillon' | 'answersOnNats'>,
  user: string,
  claims: readonly ChannelClaim[],
) {
  if (answersOnNats) {
    return { ...(await carillon.userToken(user)), channels: claims.map(({ channel }) => ({ channel })) }
  }
  const [connection, ...tokens] = await Promise.all([
    carillon.userToken(user, {
      ttlSeconds: Math.min(...claims.map(({ ttlSeconds }) => ttlSeconds)),
      channels: Object.fromEntries(claims.map(({ channel, permissions }) => [channel, permissions])),
    }),
    ...claims.map(async ({ channel, ...options }) => ({
      channel,
      ...(await carillon.channelToken(user, channel, options)),
    })),
  ])
  return { ...connection, channels: tokens }
}
