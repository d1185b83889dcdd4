import type { ChannelPermission } from '@carillon/contracts'
import { answers, HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { roomChannel } from '../access/channels.js'
import type { Grant } from '../access/grant.js'
import type { Identity } from '../access/identity.js'
import { jsonText } from '../protocol/json.js'
import { readStored } from '../stream/history.js'
import { HubUnavailable } from '../stream/hub.js'
import type { LiveSource } from '../stream/live-source.js'
import { clientInfo } from '../stream/publisher-info.js'
import { channelProblem } from './channel-problem.js'
import type { EdgeDeps } from './edge-deps.js'
import { answerPreflight } from './handshake.js'
import { BY_TOKEN_OR_TICKET, ChannelParams, History, numbers, Presence, tags } from './shapes.js'
import { letAsk } from './visitor.js'

const ROOM = '/v1/me/channels/:channel'
const JSON_TYPE = 'application/json; charset=utf-8'
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
const who = { token: Type.Optional(Type.String()), ticket: Type.Optional(Type.String()) }
const strict = { additionalProperties: false }
const Who = Type.Object(who, strict)
/** Nothing is coerced: numbers in an address are text. */
const HistoryQuery = Type.Object(
  {
    ...who,
    limit: Type.Optional(
      Type.String({ pattern: '^([1-9][0-9]?|1[0-9]{2}|200)$', description: '1 to 200; 50 unless said.' }),
    ),
    since: Type.Optional(
      Type.String({
        pattern: '^(0|[1-9][0-9]{0,15})$',
        description: 'An offset: what came after it, or before it with `reverse`.',
      }),
    ),
    epoch: Type.Optional(
      Type.String({ maxLength: 128, description: 'What `since` counts from; another one is answered 410.' }),
    ),
    reverse: Type.Optional(
      Type.Unsafe<'true' | 'false'>({
        type: 'string',
        enum: ['true', 'false'],
        description: 'The newest first.',
      }),
    ),
  },
  strict,
)
const DEFAULT_LIMIT = 50
/** History is read from the stream for each question, and a MiB of it may wait in memory for a slow reader. */
const HISTORY_PRICE = 8
const SAID = {
  presence: {
    summary: 'Who is in a room',
    description: 'Needs the permission `presence`. Who listens by SSE or long-poll is not among them.',
    querystring: Who,
    response: answers({ 200: Presence }),
  },
  stats: {
    summary: 'How many are in a room',
    description: 'Needs the permission `presence`.',
    querystring: Who,
    response: answers({ 200: Type.Object(numbers) }),
  },
  history: {
    summary: 'What a room keeps, oldest first',
    description:
      'Needs the permission `history`. A room keeps 200 publications for a day. An answer ends at 1 MiB: ask on with `since`.',
    querystring: HistoryQuery,
    response: answers({ 200: History }),
  },
}

type Asking = FastifyRequest<{ Params: Static<typeof ChannelParams> }>

/** `GET /v1/me/channels/:channel/{presence,presence-stats,history}`: what who listens by SSE or poll can't ask there. */
export function onLook(http: FastifyInstance, source: LiveSource, deps: EdgeDeps): void {
  const answer = (path: string, said: object, look: (request: Asking) => Promise<object>): void => {
    http.options(`${ROOM}/${path}`, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins))
    http.get<{ Params: Static<typeof ChannelParams> }>(
      `${ROOM}/${path}`,
      { schema: { tags, security: BY_TOKEN_OR_TICKET, params: ChannelParams, ...said } },
      async (request, reply) => {
        const found = await look(request).catch((error: unknown) => {
          throw channelProblem(error)
        })
        return reply.type(JSON_TYPE).headers(HEADERS).send(jsonText(found))
      },
    )
  }
  answer('presence', SAID.presence, async (request) => {
    const { room } = await enter(request, 'presence', deps)
    const { clients, users, members } = await deps.presence.members(room)
    return { clients, users, members: members?.map(clientInfo) }
  })
  answer('presence-stats', SAID.stats, async (request) =>
    deps.presence.stats((await enter(request, 'presence', deps)).room),
  )
  answer('history', SAID.history, (request) => readHistory(request, source, deps))
}

async function readHistory(request: Asking, source: LiveSource, deps: EdgeDeps): Promise<object> {
  const { identity, grant } = await enter(request, 'history', deps)
  if (!source.connected) throw new HubUnavailable()
  const { limit = DEFAULT_LIMIT, since, epoch, reverse } = request.query as Static<typeof HistoryQuery>
  const found = await readStored(source, roomChannel(identity.tenant, grant), {
    limit: Number(limit),
    since: since === undefined ? undefined : Number(since),
    reverse: reverse === 'true',
  })
  if (found === undefined) throw new HubUnavailable()
  if (epoch !== undefined && epoch !== found.epoch) {
    throw new HttpProblem(410, 'UNRECOVERABLE', 'Offsets have begun anew: read without `since`.', {
      field: 'epoch',
    })
  }
  return found
}

/** Who may look into a room is who may subscribe to it and has the permission; they need not be in it. */
async function enter(
  request: Asking,
  permission: ChannelPermission & ('presence' | 'history'),
  deps: EdgeDeps,
): Promise<{ identity: Identity; grant: Grant; room: { tenant: string; id: string } }> {
  const identity = await letAsk(request, deps, permission === 'history' ? HISTORY_PRICE : 1)
  const { channel } = request.params
  const grant = await deps.access.enter(identity, channel)
  if (!grant.permissions.has(permission)) {
    throw new HttpProblem(403, 'CHANNEL_DENIED', `You may not ask for the ${permission} of ${channel}.`, {
      field: 'channel',
    })
  }
  if (grant.kind !== 'room') {
    const code = permission === 'history' ? 'CHANNEL_WITHOUT_HISTORY' : 'CHANNEL_WITHOUT_PRESENCE'
    throw new HttpProblem(400, code, `Only a \`room:\` has ${permission}.`, { field: 'channel' })
  }
  return { identity, grant, room: { tenant: identity.tenant, id: grant.id } }
}
