import { randomUUID } from 'node:crypto'
import { HttpProblem } from '@carillon/service'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { servicesOnly } from '../access/callers.js'
import { carillonProblem } from '../carillon-problem.js'
import { openConversation } from '../chat/chat-store.js'
import { inTransaction } from '../database.js'
import { enqueueEvent } from '../outbox/outbox-store.js'
import { plainText } from '../plain-text.js'
import type { RidesDeps } from '../rides-deps.js'
import { type Ride, type RideState, rideEvent, stateBefore } from './ride.js'
import { findRide, insertRide, moveRide } from './ride-store.js'

const NewRide = Type.Object(
  {
    customerId: plainText(128),
    customer: plainText(128),
    from: plainText(200),
    to: plainText(200),
    city: plainText(64),
    minutes: Type.Integer({ minimum: 1, maximum: 600 }),
    amountCents: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
  },
  { additionalProperties: false },
)

const Driver = Type.Object(
  { id: plainText(128), name: plainText(128), car: plainText(128) },
  { additionalProperties: false },
)
const Id = Type.Object({ id: Type.String({ format: 'uuid' }) })

/**
 * How a ride moves on. Each call changes the ride and writes its domain event in one transaction; the answer comes when
 * Carillon has the event.
 */
export const rideRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, { pool, relay, positions }) => {
  app.addHook('onRequest', servicesOnly)

  app.post('/rides', { schema: { body: NewRide } }, async (request, reply) => {
    const ride: Ride = {
      ...request.body,
      id: randomUUID(),
      state: 'requested',
      driverId: null,
      driver: null,
      car: null,
      completedAt: null,
    }
    await inTransaction(pool, async (client) => {
      await insertRide(client, ride)
      await enqueueEvent(client, ride.id, rideEvent(ride))
    })
    await publish(ride.id)
    return reply.code(201).send(ride)
  })

  app.get('/rides/:id', { schema: { params: Id } }, async (request) => {
    const ride = await findRide(pool, request.params.id)
    if (ride === undefined) throw unknownRide()
    return ride
  })

  app.post('/rides/:id/accept', { schema: { params: Id, body: Driver } }, async (request) => {
    const { id: driverId } = request.body
    const ride = await move(request.params.id, 'accepted', request.body)
    positions.rideTaken(driverId)
    return ride
  })
  for (const [verb, state] of [
    ['arrive', 'arrived'],
    ['pay', 'paid'],
  ] as const) {
    app.post(`/rides/:id/${verb}`, { schema: { params: Id } }, (request) => move(request.params.id, state))
  }
  app.post('/rides/:id/complete', { schema: { params: Id } }, async (request) => {
    const { id } = request.params
    // hidden first: nobody may see where the driver goes once the ride is over
    await positions.hide(id)
    try {
      return await move(id, 'completed')
    } finally {
      const ride = await findRide(pool, id)
      if (ride?.completedAt === null) positions.show(id)
    }
  })

  async function move(
    id: string,
    to: RideState,
    driver?: { id: string; name: string; car: string },
  ): Promise<Ride> {
    const from = stateBefore(to) as RideState
    const moved = await inTransaction(pool, async (client) => {
      const ride = await moveRide(client, id, { from, to, ...(driver === undefined ? {} : { driver }) })
      if (ride === undefined) return undefined
      if (driver !== undefined) {
        await openConversation(client, { rideId: id, customerId: ride.customerId, driverId: driver.id })
      }
      await enqueueEvent(client, id, rideEvent(ride))
      return ride
    })
    if (moved === undefined) {
      const ride = await findRide(pool, id)
      if (ride === undefined) throw unknownRide()
      // asking again for what has already happened is no mistake
      if (ride.state === to) return ride
      throw new HttpProblem(409, 'RIDE_STATE', `The ride is ${ride.state}; it can't become ${to} from there.`)
    }
    await publish(id)
    return moved
  }

  /** The change is kept whatever happens here: what could not be published stays in the outbox. */
  async function publish(rideId: string): Promise<void> {
    try {
      await relay.flush(rideId)
    } catch (cause) {
      throw carillonProblem(cause, 'The change is kept; its event is published as soon as Carillon takes it.')
    }
  }
}

function unknownRide(): HttpProblem {
  return new HttpProblem(404, 'RIDE_UNKNOWN', 'There is no such ride.')
}
