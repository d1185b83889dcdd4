import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { PERSONAL, personalChannel, roomChannel } from '../access/channels.js'
import { AccessError } from '../access/grant.js'
import { type Identity, TokenError } from '../access/identity.js'
import { SseStream } from '../clients/sse-stream.js'
import type { ChannelSpec } from '../stream/channel.js'
import { type Cursor, decodeCursor, MAX_CURSOR_CHANNELS } from '../stream/cursor.js'
import { type Attachment, HubUnavailable } from '../stream/hub.js'
import type { Position } from '../stream/recovery.js'
import type { EdgeDeps } from './edge-deps.js'
import { admit, answerPreflight, checkOrigin, corsHeaders, identify } from './handshake.js'
import { STREAM_HEADERS, streamHead } from './stream-head.js'

export interface SseLimits {
  rotateMs: number
}

const PATH = '/v1/sse'
/** Rotation is moved by up to this part of it, so that connections opened together part. */
const ROTATION_JITTER = 0.2
/** When a reader that can't be served now should ask again. */
const RETURN_MIN_MS = 1_000
const RETURN_SPREAD_MS = 4_000
const EVENT_STREAM = 'text/event-stream; charset=utf-8'

/** `GET /v1/sse?channel=user&channel=room:x`: the events of a user's channels, resumable by their ids. */
export function onSse(http: FastifyInstance, limits: SseLimits, deps: EdgeDeps): void {
  http.options(PATH, { schema: { hide: true } as object }, (request, reply) =>
    answerPreflight(request, reply, deps.allowedOrigins),
  )
  http.get(PATH, { schema: { hide: true } as object }, async (request, reply) => {
    try {
      await open(request, reply, limits, deps)
      return reply
    } catch (error) {
      if (!(error instanceof HttpProblem) || error.status !== 503 || !wantsEvents(request)) throw error
      return askToComeBack(request, reply, deps.allowedOrigins)
    }
  })
}

function wantsEvents(request: FastifyRequest): boolean {
  return request.headers.accept?.includes('text/event-stream') === true
}

/** An EventSource gives up for good on any status but 200, so it is asked in the words of the stream itself. */
function askToComeBack(
  request: FastifyRequest,
  reply: FastifyReply,
  allowed: ReadonlySet<string>,
): FastifyReply {
  const retryMs = RETURN_MIN_MS + Math.floor(Math.random() * RETURN_SPREAD_MS)
  return reply
    .code(200)
    .headers({ 'content-type': EVENT_STREAM, ...STREAM_HEADERS, ...corsHeaders(request, allowed) })
    .send(`retry: ${retryMs}\n\n`)
}

async function open(
  request: FastifyRequest,
  reply: FastifyReply,
  limits: SseLimits,
  deps: EdgeDeps,
): Promise<void> {
  checkOrigin(request, deps.allowedOrigins)
  const identity = await identify(request, deps.verifier)
  if (identity === undefined) {
    throw new HttpProblem(401, 'TOKEN_MISSING', 'Send a user token: Authorization, cookie or ?token=.')
  }
  if (deps.standing.refuses(identity.userId)) {
    throw new HttpProblem(403, 'SUSPENDED', 'This user may not be connected.')
  }
  const specs = await wantedChannels(request, identity, deps)
  const { connections } = deps
  admit('sse', deps)
  if (!connections.claim(identity.userId)) {
    deps.events.refused('sse', 'per-user')
    throw new HttpProblem(429, 'TOO_MANY_CONNECTIONS', 'This user has too many open connections.', {
      headers: { 'retry-after': '10' },
    })
  }
  await stream(request, reply, { identity, specs, limits, deps })
}

interface Accepted {
  identity: Identity
  specs: readonly ChannelSpec[]
  limits: SseLimits
  deps: EdgeDeps
}

async function stream(request: FastifyRequest, reply: FastifyReply, accepted: Accepted): Promise<void> {
  const { identity, specs, limits, deps } = accepted
  const sse = new SseStream(
    request.raw.socket,
    {
      holder: identity,
      heartbeatEvents: (request.query as Record<string, unknown>).heartbeat === 'event',
      rotateAfterMs: limits.rotateMs * (1 + (Math.random() * 2 - 1) * ROTATION_JITTER),
      expiresInMs: identity.expiresAtMs - deps.now(),
      maxQueuedBytes: deps.maxQueuedBytes,
    },
    {
      hub: deps.hub,
      connections: deps.connections,
      onSlow: () => deps.events.slow('sse'),
      onClosed: () => deps.connections.release(identity.userId),
    },
  )
  const cursor = lastEventId(request)
  const attachments: Attachment[] = []
  try {
    for (const spec of specs) {
      await deps.hub.attach(spec, positionIn(cursor, spec), (attachment) => {
        attachments.push(attachment)
        deps.events.attached('sse', attachment)
        return sse.join(attachment)
      })
    }
  } catch (error) {
    if (!(error instanceof HubUnavailable)) throw error
    sse.withdraw()
    throw new HttpProblem(503, 'UNAVAILABLE', error.message, { headers: { 'retry-after': '1' } })
  }
  if (sse.closed) return
  reply.hijack()
  sse.begin(streamHead(request, EVENT_STREAM, corsHeaders(request, deps.allowedOrigins)), attachments)
}

async function wantedChannels(
  request: FastifyRequest,
  identity: Identity,
  deps: EdgeDeps,
): Promise<ChannelSpec[]> {
  const { channel } = request.query as Record<string, unknown>
  const names = [...new Set(Array.isArray(channel) ? channel : [channel ?? 'user'])]
  if (names.length > MAX_CURSOR_CHANNELS) {
    throw new HttpProblem(400, 'TOO_MANY_CHANNELS', `At most ${MAX_CURSOR_CHANNELS} channels a connection.`, {
      field: 'channel',
    })
  }
  const specs: ChannelSpec[] = []
  for (const name of names) specs.push(await enter(identity, String(name), deps))
  if (new Set(specs.map(({ tag }) => tag)).size < specs.length) {
    // two of a connection's channels share a tag once in a million connections
    throw new HttpProblem(400, 'CHANNELS_CLASH', 'These channels need two connections.', { field: 'channel' })
  }
  return specs
}

/** The header beats the query; undefined when the client has nothing, `unknown` when it can't be read. */
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

/** @throws HttpProblem for a channel that does not exist or is not open to the user */
async function enter(identity: Identity, name: string, deps: EdgeDeps): Promise<ChannelSpec> {
  if (name === PERSONAL) return personalChannel(identity)
  try {
    const grant = await deps.access.enter(identity, name)
    if (grant.kind === 'room') return roomChannel(identity.tenant, grant)
    throw new AccessError('CHANNEL_UNKNOWN', 'There is no such channel.')
  } catch (error) {
    if (error instanceof TokenError)
      throw new HttpProblem(403, error.code, error.message, { field: 'channel' })
    if (!(error instanceof AccessError)) throw error
    const status = { CHANNEL_UNKNOWN: 404, UNAVAILABLE: 503, CHANNEL_DENIED: 403, CHANNEL_DATA_INVALID: 422 }
    throw new HttpProblem(status[error.code], error.code, error.message, { field: 'channel' })
  }
}
