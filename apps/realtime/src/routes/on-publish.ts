import { randomUUID } from 'node:crypto'
import { answers, sha256 } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Identity } from '../access/identity.js'
import type { RoomPublisher } from '../stream/room-publisher.js'
import { channelProblem } from './channel-problem.js'
import type { EdgeDeps } from './edge-deps.js'
import { answerPreflight } from './handshake.js'
import { BY_TOKEN_OR_TICKET, ChannelParams, tags } from './shapes.js'
import { letAsk } from './visitor.js'

const PATH = '/v1/me/channels/:channel/publish'
const Body = Type.Object(
  {
    data: Type.Object({}, { additionalProperties: true, description: '32 KiB as JSON.' }),
    key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description: '`latest:` only: replaces what the person said under it.',
      }),
    ),
    token: Type.Optional(Type.String({ maxLength: 4_096, description: 'A token for this channel.' })),
    idempotencyKey: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Said once, however often it is sent.' }),
    ),
  },
  { additionalProperties: false, examples: [{ data: { text: 'I am at the corner' } }] },
)
const Answer = Type.Object({
  offset: Type.Optional(Type.Integer({ description: 'Its place in the room; absent for `latest:`.' })),
})

/** `POST /v1/me/channels/:channel/publish`: for who listens by SSE or poll and therefore can't speak there. */
export function onPublish(http: FastifyInstance, publisher: RoomPublisher, deps: EdgeDeps): void {
  http.options(PATH, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins, 'POST'))
  http.post<{ Body: Static<typeof Body>; Params: Static<typeof ChannelParams> }>(
    PATH,
    {
      schema: {
        summary: 'Say something in a channel',
        description: 'For who listens by SSE or long-poll; needs the permission `publish`.',
        tags,
        security: BY_TOKEN_OR_TICKET,
        params: ChannelParams,
        body: Body,
        response: answers({ 200: Answer }),
      },
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
  request: FastifyRequest<{ Body: Static<typeof Body>; Params: Static<typeof ChannelParams> }>,
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
