import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { resolveChannel } from '../access/channels.js'
import type { Identity, TokenVerifier } from '../access/identity.js'
import type { Connections } from '../clients/connections.js'
import { SseStream } from '../clients/sse-stream.js'
import type { RealtimeEvents } from '../events.js'
import type { ChannelSpec } from '../stream/channel.js'
import { type Cursor, decodeCursor, MAX_CURSOR_CHANNELS } from '../stream/cursor.js'
import { type Attachment, type Hub, HubUnavailable } from '../stream/hub.js'
import type { Position } from '../stream/recovery.js'
import { answerPreflight, checkOrigin, corsHeaders, identify } from './handshake.js'

export interface EdgeDeps {
  hub: Hub
  connections: Connections
  verifier: TokenVerifier
  events: RealtimeEvents
  allowedOrigins: ReadonlySet<string>
  maxQueuedBytes: number
  now: () => number
}

export interface SseLimits {
  rotateMs: number
}

const PATH = '/v1/sse'
/** Rotation is moved by up to this part of it, so that connections opened together part. */
const ROTATION_JITTER = 0.2
/** When a reader that can't be served now should ask again. */
const RETURN_MIN_MS = 1_000
const RETURN_SPREAD_MS = 4_000
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
}

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
    .headers({ ...STREAM_HEADERS, ...corsHeaders(request, allowed) })
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
  const specs = wantedChannels(request, identity)
  const { connections } = deps
  if (!connections.admit()) {
    deps.events.refused('sse', 'admission')
    throw new HttpProblem(503, 'OVERLOADED', 'Too many connections at this moment.', {
      headers: { 'retry-after': String(1 + Math.floor(Math.random() * 4)) },
    })
  }
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
  sse.begin(responseHead(request, deps.allowedOrigins), attachments)
}

/**
 * The head of the answer, written by hand: the body ends with the connection, so that every event is the same bytes
 * for all its readers (no chunk sizes) and HTTP/1.0 proxies can pass it on.
 */
function responseHead(request: FastifyRequest, allowed: ReadonlySet<string>): string {
  const headers = {
    ...STREAM_HEADERS,
    'x-correlation-id': request.id,
    connection: 'close',
    ...corsHeaders(request, allowed),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 200 OK\r\n${lines.join('')}\r\n`
}

function wantedChannels(request: FastifyRequest, identity: Identity): ChannelSpec[] {
  const { channel } = request.query as Record<string, unknown>
  const names = [...new Set(Array.isArray(channel) ? channel : [channel ?? 'user'])]
  if (names.length > MAX_CURSOR_CHANNELS) {
    throw new HttpProblem(400, 'TOO_MANY_CHANNELS', `At most ${MAX_CURSOR_CHANNELS} channels a connection.`, {
      field: 'channel',
    })
  }
  const specs = names.map((name) => {
    const spec = resolveChannel(identity, String(name))
    if (spec === 'unknown') {
      throw new HttpProblem(404, 'CHANNEL_UNKNOWN', 'There is no such channel.', { field: 'channel' })
    }
    if (spec === 'denied') {
      throw new HttpProblem(403, 'CHANNEL_DENIED', 'The token does not let into this channel.', {
        field: 'channel',
      })
    }
    return spec
  })
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
