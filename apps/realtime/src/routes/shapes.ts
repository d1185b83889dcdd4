import { type ApiPart, answers, decodedByHandler } from '@carillon/service'
import type { FastifySchema } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { SESSION_COOKIE, TOKEN_COOKIE } from './handshake.js'

/** What routes say of themselves in `/openapi.json`. */

export const REALTIME_API: ApiPart = {
  securitySchemes: {
    userCookie: {
      type: 'apiKey',
      in: 'cookie',
      name: TOKEN_COOKIE,
      description: 'Token of a user, set by your backend.',
    },
    ticket: {
      type: 'apiKey',
      in: 'query',
      name: 'ticket',
      description: 'From `POST /v1/sse/ticket`, with the cookie that came with it.',
    },
    ticketSession: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE },
    addressToken: {
      type: 'apiKey',
      in: 'query',
      name: 'token',
      description: 'Token of a user that lives an hour at most.',
    },
  },
}

export const tags = ['realtime']
/** Ways to say who one is, any of them. */
export const BY_TOKEN = [{ userToken: [] }, { userCookie: [] }, { addressToken: [] }]
export const BY_TOKEN_OR_TICKET = [...BY_TOKEN, { ticket: [], ticketSession: [] }]
/** The client protocol says it in its first command, if not in the request. */
export const BY_TOKEN_OR_COMMAND = [...BY_TOKEN, {}]

/** The schema of a route that reads its request itself: documents, and refuses nothing. */
export function documented(
  schema: FastifySchema & { response: Readonly<Record<number, TSchema | object>> },
): {
  schema: FastifySchema
  validatorCompiler: () => () => boolean
} {
  return {
    schema: { tags, ...schema, response: answers(schema.response) },
    validatorCompiler: decodedByHandler,
  }
}

/** An answer that isn't JSON. */
export function stream(mediaTypes: readonly string[], description: string): object {
  const media = { schema: Type.String() }
  return { description, content: Object.fromEntries(mediaTypes.map((type) => [type, media])) }
}

export const ChannelParams = Type.Object({
  channel: Type.String({ maxLength: 128, description: '`room:<id>`, or `latest:<id>` where that is said.' }),
})

const ClientInfo = Type.Object(
  {
    user: Type.String({ description: 'As your server calls them.' }),
    client: Type.String({ description: 'The connection; empty for who has none.' }),
    chan_info: Type.Optional(Type.Unknown({ description: 'What the authorisation said of them.' })),
  },
  { description: 'Somebody in a channel.' },
)
export const numbers = {
  clients: Type.Integer({ description: 'Connections.' }),
  users: Type.Integer({ description: 'Different people.' }),
}
export const Presence = Type.Object({
  ...numbers,
  members: Type.Optional(Type.Array(ClientInfo, { description: 'Absent above 200 connections.' })),
})
export const History = Type.Object({
  publications: Type.Array(
    Type.Object({
      data: Type.Unknown(),
      offset: Type.Integer({ description: 'Its place in the room; grows, with gaps.' }),
      info: Type.Optional(ClientInfo),
    }),
  ),
  epoch: Type.String({ description: 'What offsets count from.' }),
  offset: Type.Integer({ description: 'Where the stream stands.' }),
})

export const reading = {
  channel: Type.Optional(
    Type.Array(Type.String(), {
      maxItems: 7,
      description: 'Again and again: `user` (when there is none), `room:<id>`, `latest:<id>`.',
    }),
  ),
  last_event_id: Type.Optional(
    Type.String({ description: 'Where to go on from: the id of the last event. The header beats it.' }),
  ),
}
export const ReadingHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({ description: 'As browsers send it when they come back.' })),
})
