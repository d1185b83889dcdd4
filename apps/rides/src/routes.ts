import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { CarillonClientError } from '@carillon/sdk'
import { HttpProblem } from '@carillon/service'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type pg from 'pg'
import { Type } from 'typebox'
import { enqueue, type Relay } from './outbox.js'
import { type Ride, type RideState, rideEvent, stateBefore } from './ride.js'
import { findRide, insertRide, inTransaction, moveRide } from './store.js'

const text = (max: number) => Type.String({ minLength: 1, maxLength: max })

const NewRide = Type.Object(
  {
    customerId: text(128),
    customer: text(128),
    from: text(200),
    to: text(200),
    city: text(64),
    minutes: Type.Integer({ minimum: 1, maximum: 600 }),
    amountCents: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
    currency: Type.String({ pattern: '^[A-Z]{3}$' }),
  },
  { additionalProperties: false },
)

const Driver = Type.Object(
  { id: text(128), name: text(128), car: text(128) },
  { additionalProperties: false },
)
const Id = Type.Object({ id: Type.String({ format: 'uuid' }) })

export interface RidesDeps {
  pool: pg.Pool
  relay: Relay
  token: string
}

/**
 * The HTTP interface of the rides service. Each call changes the ride and writes its domain event in one transaction;
 * the answer comes when Carillon has the event.
 */
export const ridesRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, { pool, relay, token }) => {
  app.addHook('onRequest', async (request) => {
    if (!sameSecret(request.headers.authorization ?? '', `Bearer ${token}`)) {
      throw new HttpProblem(401, 'UNAUTHORIZED', 'Send the rides token as a bearer token.')
    }
  })

  app.post('/rides', { schema: { body: NewRide } }, async (request, reply) => {
    const ride: Ride = {
      ...request.body,
      id: randomUUID(),
      state: 'requested',
      driverId: null,
      driver: null,
      car: null,
    }
    await inTransaction(pool, async (client) => {
      await insertRide(client, ride)
      await enqueue(client, rideEvent(ride))
    })
    await publish()
    return reply.code(201).send(ride)
  })

  app.get('/rides/:id', { schema: { params: Id } }, async (request) => {
    const ride = await findRide(pool, request.params.id)
    if (ride === undefined) throw new HttpProblem(404, 'RIDE_UNKNOWN', 'There is no such ride.')
    return ride
  })

  app.post('/rides/:id/accept', { schema: { params: Id, body: Driver } }, (request) =>
    move(request.params.id, 'accepted', request.body),
  )
  for (const [verb, state] of [
    ['arrive', 'arrived'],
    ['complete', 'completed'],
    ['pay', 'paid'],
  ] as const) {
    app.post(`/rides/:id/${verb}`, { schema: { params: Id } }, (request) => move(request.params.id, state))
  }

  async function move(
    id: string,
    to: RideState,
    driver?: { id: string; name: string; car: string },
  ): Promise<Ride> {
    const from = stateBefore(to) as RideState
    const moved = await inTransaction(pool, async (client) => {
      const ride = await moveRide(client, id, { from, to, ...(driver === undefined ? {} : { driver }) })
      if (ride !== undefined) await enqueue(client, rideEvent(ride))
      return ride
    })
    if (moved === undefined) {
      const ride = await findRide(pool, id)
      if (ride === undefined) throw new HttpProblem(404, 'RIDE_UNKNOWN', 'There is no such ride.')
      // asking again for what has already happened is no mistake
      if (ride.state === to) return ride
      throw new HttpProblem(409, 'RIDE_STATE', `The ride is ${ride.state}; it can't become ${to} from there.`)
    }
    await publish()
    return moved
  }

  /** The change is kept whatever happens here: what could not be published stays in the outbox. */
  async function publish(): Promise<void> {
    try {
      await relay.flush()
    } catch (cause) {
      if (!(cause instanceof CarillonClientError)) throw cause
      throw new HttpProblem(
        503,
        'CARILLON_UNAVAILABLE',
        'The change is kept; its event is published as soon as Carillon takes it.',
        { headers: { 'retry-after': '5' }, cause },
      )
    }
  }
}

function sameSecret(given: string, wanted: string): boolean {
  const hash = (value: string) => createHash('sha256').update(value).digest()
  return timingSafeEqual(hash(given), hash(wanted))
}
