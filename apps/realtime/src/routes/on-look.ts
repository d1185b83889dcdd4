import type { ChannelPermission } from '@carillon/contracts'
import { HttpProblem } from '@carillon/service'
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
import { letAsk } from './visitor.js'

const ROOM = '/v1/me/channels/:channel'
const JSON_TYPE = 'application/json; charset=utf-8'
const Params = Type.Object({ channel: Type.String({ maxLength: 128 }) })
/** Nothing is coerced: numbers in an address are text. */
const offset = Type.String({ pattern: '^(0|[1-9][0-9]{0,15})$' })
const who = { token: Type.Optional(Type.String()), ticket: Type.Optional(Type.String()) }
const strict = { additionalProperties: false }
const Nothing = Type.Object(who, strict)
const HistoryQuery = Type.Object(
  {
    ...who,
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|1[0-9]{2}|200)$' })),
    since: Type.Optional(offset),
    epoch: Type.Optional(Type.String({ maxLength: 128 })),
    reverse: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')])),
  },
  strict,
)
const DEFAULT_LIMIT = 50

type Asking = FastifyRequest<{ Params: Static<typeof Params> }>

/** `GET /v1/me/channels/:channel/{presence,presence-stats,history}`: what who listens by SSE or poll can't ask there. */
export function onLook(http: FastifyInstance, source: LiveSource, deps: EdgeDeps): void {
  const hide = { hide: true } as object
  for (const path of ['presence', 'presence-stats', 'history']) {
    http.options(`${ROOM}/${path}`, { schema: hide }, (request, reply) =>
      answerPreflight(request, reply, deps.allowedOrigins),
    )
  }
  const answer = (path: string, querystring: object, look: (request: Asking) => Promise<object>) =>
    http.get<{ Params: Static<typeof Params> }>(
      `${ROOM}/${path}`,
      { schema: { ...hide, params: Params, querystring } },
      async (request, reply) => {
        const found = await look(request).catch((error: unknown) => {
          throw channelProblem(error)
        })
        return reply.type(JSON_TYPE).header('cache-control', 'no-store').send(jsonText(found))
      },
    )
  answer('presence', Nothing, async (request) => {
    const { clients, users, members } = await deps.presence.members(
      (await enter(request, 'presence', deps)).room,
    )
    return { clients, users, members: members?.map(clientInfo) }
  })
  answer('presence-stats', Nothing, async (request) =>
    deps.presence.stats((await enter(request, 'presence', deps)).room),
  )
  answer('history', HistoryQuery, (request) => readHistory(request, source, deps))
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
  const identity = await letAsk(request, deps)
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
