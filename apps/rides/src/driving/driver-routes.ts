import { HttpProblem } from '@carillon/service'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { onlyThemselves } from '../access/callers.js'
import { plainText } from '../plain-text.js'
import type { RidesDeps } from '../rides-deps.js'
import { freeDriversWithin } from './driver-store.js'
import { offline, online } from './drivers.js'
import { boxAround, coarse, metresBetween } from './track.js'

const Id = Type.Object({ id: plainText(128) })

const Located = Type.Object(
  {
    lat: Type.Number({ minimum: -90, maximum: 90 }),
    lon: Type.Number({ minimum: -180, maximum: 180 }),
    heading: Type.Optional(Type.Number({ minimum: 0, maximum: 360 })),
    speed: Type.Optional(Type.Number({ minimum: 0, maximum: 150 })),
    at: Type.String({ format: 'date-time' }),
  },
  { additionalProperties: false },
)

const City = Type.Object({ city: plainText(64) }, { additionalProperties: false })

const NUMBER = '^-?[0-9]{1,3}(\\.[0-9]{1,12})?$'
const Near = Type.Object(
  {
    lat: Type.String({ pattern: NUMBER }),
    lon: Type.String({ pattern: NUMBER }),
    radius: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,4}$', description: 'Metres.' })),
    limit: Type.Optional(Type.String({ pattern: '^([1-9]|[1-4][0-9]|50)$' })),
  },
  { additionalProperties: false },
)

const RADIUS_M = 3_000
const LISTED = 10

/** Drivers on- and offline, where they are, and who is near. */
export const driverRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, deps) => {
  const { pool, relay, positions, now } = deps

  app.put('/drivers/:id/online', { schema: { params: Id, body: City } }, async (request) => {
    const { id } = request.params
    onlyThemselves(request, id)
    const changed = await online(pool, { id, city: request.body.city, at: new Date(now()) })
    if (changed) {
      positions.forget(id)
      relay.nudge()
    }
    return { changed }
  })

  app.put('/drivers/:id/offline', { schema: { params: Id } }, async (request) => {
    const { id } = request.params
    onlyThemselves(request, id)
    const changed = await offline(pool, { id, at: new Date(now()) })
    positions.forget(id)
    if (changed) relay.nudge()
    return { changed }
  })

  app.put('/drivers/:id/location', { schema: { params: Id, body: Located } }, async (request) => {
    const { id } = request.params
    onlyThemselves(request, id)
    const { at, heading = null, speed = null, ...place } = request.body
    const step = await positions.take(id, { ...place, heading, speed, at: Date.parse(at) })
    if (step.kind === 'offline') {
      throw new HttpProblem(
        409,
        'DRIVER_OFFLINE',
        'Positions count for who is online: PUT /drivers/:id/online.',
      )
    }
    if (step.kind === 'ahead') {
      throw new HttpProblem(400, 'LOCATION_AHEAD', '`at` is in the future.', { field: 'at' })
    }
    return { taken: step.kind === 'moved', jump: step.kind === 'moved' && step.jump }
  })

  app.get('/drivers/near', { schema: { querystring: Near } }, async (request) => {
    const { radius = RADIUS_M, limit = LISTED } = request.query
    const place = { lat: Number(request.query.lat), lon: Number(request.query.lon) }
    if (Math.abs(place.lat) > 90 || Math.abs(place.lon) > 180) {
      throw new HttpProblem(400, 'VALIDATION', 'There is no such place.', { field: 'lat' })
    }
    const found = await freeDriversWithin(pool, boxAround(place, Number(radius)))
    const drivers = found
      .map(({ id, ...at }) => ({ id, ...coarse(at), metres: Math.round(metresBetween(place, at)) }))
      .filter(({ metres }) => metres <= Number(radius))
      .sort((a, b) => a.metres - b.metres)
      .slice(0, Number(limit))
    // a distance to the metre would give away what the rounding hides
    return { drivers: drivers.map((driver) => ({ ...driver, metres: Math.ceil(driver.metres / 100) * 100 })) }
  })
}
