import { randomUUID } from 'node:crypto'
import { sha256 } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Identity } from '../access/identity.js'
import type { RoomPublisher } from '../stream/room-publisher.js'
import { channelProblem } from './channel-problem.js'
import type { EdgeDeps } from './edge-deps.js'
import { answerPreflight } from './handshake.js'
import { letAsk } from './visitor.js'

const PATH = '/v1/me/channels/:channel/publish'
const Body = Type.Object(
  {
    data: Type.Object({}, { additionalProperties: true }),
    key: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    token: Type.Optional(Type.String({ maxLength: 4_096, description: 'A token for this channel.' })),
    idempotencyKey: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Said once, however often it is sent.' }),
    ),
  },
  { additionalProperties: false },
)
const Params = Type.Object({ channel: Type.String({ maxLength: 128 }) })

/** `POST /v1/me/channels/:channel/publish`: for who listens by SSE or poll and therefore can't speak there. */
export function onPublish(http: FastifyInstance, publisher: RoomPublisher, deps: EdgeDeps): void {
  http.options(PATH, { schema: { hide: true } as object }, (request, reply) =>
    answerPreflight(request, reply, deps.allowedOrigins, 'POST'),
  )
  http.post<{ Body: Static<typeof Body>; Params: Static<typeof Params> }>(
    PATH,
    {
      schema: { hide: true, body: Body, params: Params } as object,
      bodyLimit: 64 * 1024,
    },
    async (request, reply) => {
      const identity = await letAsk(request, deps)
      const offset = await say(identity, request, publisher, deps)
      return reply.code(200).send(offset === undefined ? {} : { offset })
    },
  )
}

async function say(
  identity: Identity,
  request: FastifyRequest<{ Body: Static<typeof Body>; Params: Static<typeof Params> }>,
  publisher: RoomPublisher,
  { access }: EdgeDeps,
): Promise<number | undefined> {
  const { channel } = request.params
  const { data, key, token, idempotencyKey } = request.body
  try {
    const known = token === undefined ? undefined : await access.granted(identity, channel, token)
    const grant = await access.mayPublish(identity, channel, data, known)
    return await publisher.publish(identity.tenant, grant, {
      data,
      from: {
        user: identity.externalId,
        client: '',
        ...(grant.info === undefined ? {} : { info: grant.info }),
      },
      ...(key === undefined ? {} : { key }),
      messageId: idempotencyKey === undefined ? randomUUID() : messageIdOf(identity, channel, idempotencyKey),
    })
  } catch (error) {
    throw channelProblem(error)
  }
}

/** Nobody's key stands for somebody else's message. */
function messageIdOf(identity: Identity, channel: string, key: string): string {
  const name = JSON.stringify([identity.tenant, identity.userId, channel, key])
  return Buffer.from(sha256(name)).toString('base64url')
}
