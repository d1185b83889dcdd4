import { HttpProblem } from '@carillon/service'
import type { FastifyRequest } from 'fastify'
import type { ChannelAccess } from '../access/channel-access.js'
import { PERSONAL, personalChannel, roomChannel } from '../access/channels.js'
import { AccessError, type Grant } from '../access/grant.js'
import { type Identity, TokenError } from '../access/identity.js'
import type { ChannelSpec } from '../stream/channel-spec.js'
import { type Cursor, decodeCursor, MAX_CURSOR_CHANNELS } from '../stream/cursor.js'
import type { Position } from '../stream/recovery.js'

/** The channels a reader asked for, once it may be in all of them. */
export interface WantedChannels {
  /** With history, and where the reader stands in them. */
  stored: readonly { spec: ChannelSpec; from: Position | 'unknown' | undefined }[]
  /** Without. */
  latest: readonly { name: string; id: string }[]
  /** The reader brings no position at all. */
  fresh: boolean
  /** When somebody has to be asked again whether the reader may stay, milliseconds; infinite for not before the token ends. */
  endsAtMs: number
}

const STATUS = { CHANNEL_UNKNOWN: 404, UNAVAILABLE: 503, CHANNEL_DENIED: 403, CHANNEL_DATA_INVALID: 422 }

/**
 * Reads `channel` (again and again, `user` when absent) and the last event's id, header before query. Every call asks
 * anew whether the reader may be there, also when it only comes back.
 * @throws HttpProblem 400, 403 or 404 with the field, 503 when nobody can say
 */
export async function wantedChannels(
  request: FastifyRequest,
  identity: Identity,
  access: ChannelAccess,
): Promise<WantedChannels> {
  const { channel } = request.query as Record<string, unknown>
  const names = [...new Set(Array.isArray(channel) ? channel : [channel ?? PERSONAL])].map(String)
  if (names.length > MAX_CURSOR_CHANNELS) {
    throw problem(400, 'TOO_MANY_CHANNELS', `At most ${MAX_CURSOR_CHANNELS} channels a connection.`)
  }
  const cursor = lastEventId(request)
  const stored: WantedChannels['stored'][number][] = []
  const latest: WantedChannels['latest'][number][] = []
  let endsAtMs = Number.POSITIVE_INFINITY
  const add = (spec: ChannelSpec) => stored.push({ spec, from: positionIn(cursor, spec) })
  for (const name of names) {
    if (name === PERSONAL) {
      add(personalChannel(identity))
      continue
    }
    const grant = await enter(identity, name, access)
    endsAtMs = Math.min(endsAtMs, grant.endsAtMs ?? Number.POSITIVE_INFINITY)
    if (grant.kind === 'latest') latest.push({ name, id: grant.id })
    else add(roomChannel(identity.tenant, grant))
  }
  if (new Set(stored.map(({ spec }) => spec.tag)).size < stored.length) {
    // two of a connection's channels share a tag once in a million connections
    throw problem(400, 'CHANNELS_CLASH', 'These channels need two connections.')
  }
  return { stored, fresh: cursor === undefined, latest, endsAtMs }
}

async function enter(identity: Identity, name: string, access: ChannelAccess): Promise<Grant> {
  try {
    return await access.enter(identity, name)
  } catch (error) {
    if (error instanceof TokenError) throw problem(403, error.code, error.message)
    if (!(error instanceof AccessError)) throw error
    throw problem(STATUS[error.code], error.code, error.message)
  }
}

/** Undefined when the reader has nothing, `unknown` when what it has can't be read. */
function lastEventId(request: FastifyRequest): Cursor | 'unknown' | undefined {
  const query = (request.query as Record<string, unknown>).last_event_id
  const text = request.headers['last-event-id'] ?? query
  if (text === undefined || text === '') return undefined
  return typeof text === 'string' ? (decodeCursor(text) ?? 'unknown') : 'unknown'
}

function positionIn(
  cursor: Cursor | 'unknown' | undefined,
  spec: ChannelSpec,
): Position | 'unknown' | undefined {
  if (cursor === undefined || cursor === 'unknown') return cursor
  const offset = cursor.offsets.get(spec.tag)
  return offset === undefined ? 'unknown' : { epoch: cursor.epoch, offset }
}

function problem(status: number, code: string, detail: string): HttpProblem {
  return new HttpProblem(status, code, detail, { field: 'channel' })
}
