import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { personOf } from '../access/callers.js'
import { createPace } from '../access/pace.js'
import { writtenText } from '../plain-text.js'
import { findRide } from '../ride/ride-store.js'
import type { RidesDeps } from '../rides-deps.js'
import { allowed, markRead, writeMessage } from './chat.js'
import { conversationsOf, markersOf, messagesBefore } from './chat-store.js'
import { READABLE_AFTER_MS } from './conversation.js'

const Id = Type.Object({ id: Type.String({ format: 'uuid' }) })

const NewMessage = Type.Object(
  {
    text: writtenText(2_000),
    clientId: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
  },
  { additionalProperties: false },
)

const Page = Type.Object(
  {
    before: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,8}$' })),
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|100)$' })),
  },
  { additionalProperties: false },
)

const UpTo = Type.Object({ upTo: Type.String({ format: 'uuid' }) }, { additionalProperties: false })

const PAGE = 50
const LISTED = 100
/** Faster than people write; a program that runs wild doesn't fill the room. */
const PACE = { perSecond: 5, burst: 30 }
/** More than any conversation has. */
const END = 2_147_483_647

/** What customer and driver of a ride write to each other. */
export const chatRoutes: FastifyPluginAsyncTypebox<RidesDeps> = async (app, { pool, relay, now }) => {
  const pace = createPace(PACE)
  const writer = (request: FastifyRequest): string => {
    const user = personOf(request)
    pace.count(user, now())
    return user
  }

  app.post('/rides/:id/messages', { schema: { params: Id, body: NewMessage } }, async (request, reply) => {
    const { message, created } = await writeMessage(pool, {
      rideId: request.params.id,
      user: writer(request),
      now: now(),
      ...request.body,
    })
    // written is written: who is in the room hears of it as soon as Carillon takes it
    if (created) relay.nudge()
    return reply.code(created ? 201 : 200).send(message)
  })

  app.get('/rides/:id/messages', { schema: { params: Id, querystring: Page } }, async (request) => {
    const rideId = request.params.id
    allowed(await findRide(pool, rideId), { user: personOf(request), now: now() })
    const limit = Number(request.query.limit ?? PAGE)
    const before = Number(request.query.before ?? END)
    const [messages, read] = await Promise.all([
      messagesBefore(pool, { rideId, before, limit }),
      markersOf(pool, rideId),
    ])
    const next = messages.length === limit ? (messages.at(-1)?.number ?? null) : null
    return { messages, read, next }
  })

  app.put('/rides/:id/read', { schema: { params: Id, body: UpTo } }, async (request) => {
    const { upTo } = request.body
    const marker = await markRead(pool, {
      rideId: request.params.id,
      user: writer(request),
      now: now(),
      upTo,
    })
    if (marker !== undefined) relay.nudge()
    return { changed: marker !== undefined }
  })

  app.get('/conversations', async (request) =>
    conversationsOf(pool, {
      user: personOf(request),
      completedAfter: new Date(now() - READABLE_AFTER_MS),
      limit: LISTED,
    }),
  )
}
