import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { SseStream } from '../clients/sse-stream.js'
import type { EdgeDeps } from './edge-deps.js'
import { answerPreflight, corsHeaders } from './handshake.js'
import { attachAll, letIn, listenTo } from './reader.js'
import { BY_TOKEN_OR_TICKET, documented, ReadingHeaders, reading, stream } from './shapes.js'
import { STREAM_HEADERS, streamHead } from './stream-head.js'
import { needSocket, takeSocket } from './take-socket.js'

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
const description = documented({
  summary: 'The events of channels, for an EventSource',
  description:
    'First `ready`, then what was missed, then what is new. `message` is a frame of the person, an event named like ' +
    'a room its publication `{data, offset, info?}`; `reset` says that a channel can not be continued, `expired` ' +
    'that the token ends. Told in full in docs/guides/realtime.md.',
  security: BY_TOKEN_OR_TICKET,
  headers: ReadingHeaders,
  querystring: Type.Object({
    ...reading,
    heartbeat: Type.Optional(Type.Literal('event', { description: 'Heartbeats as events.' })),
  }),
  response: {
    200: stream(
      ['text/event-stream'],
      'Endless. Who can not be served now and takes events is given `retry:` and no more.',
    ),
  },
})

/** `GET /v1/sse?channel=user&channel=room:x`: the events of a user's channels, resumable by their ids. */
export function onSse(http: FastifyInstance, limits: SseLimits, deps: EdgeDeps): void {
  http.options(PATH, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins))
  // also what is refused before it gets here, when the server has too much to do
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const later = error instanceof HttpProblem && error.status === 503 && wantsEvents(request)
    return later ? askToComeBack(request, reply, deps.allowedOrigins) : reply.send(error)
  }
  // what answers HEAD would open a stream
  const options = { ...description, exposeHeadRoute: false, errorHandler }
  http.get(PATH, options, async (request, reply) => {
    await open(request, reply, limits, deps)
    return reply
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
  needSocket(reply)
  const reader = await letIn(request, 'sse', deps)
  const { identity, wanted, release } = reader
  const now = deps.now()
  const sse = new SseStream(
    request.raw.socket,
    {
      holder: identity,
      heartbeatEvents: (request.query as Record<string, unknown>).heartbeat === 'event',
      // coming back asks anew who may be here
      rotateAfterMs: Math.min(
        limits.rotateMs * (1 + (Math.random() * 2 - 1) * ROTATION_JITTER),
        wanted.endsAtMs - now,
      ),
      expiresInMs: identity.expiresAtMs - now,
      maxQueuedBytes: deps.maxQueuedBytes,
    },
    {
      hub: deps.hub,
      connections: deps.connections,
      onSlow: () => deps.events.slow('sse'),
      onClosed: release,
    },
  )
  const join = sse.join.bind(sse)
  const attachments = await attachAll('sse', { wanted, join }, deps).catch((error: unknown) => {
    sse.withdraw()
    throw error
  })
  if (sse.closed) return
  reply.hijack()
  takeSocket(request, reply, () => sse.listen())
  sse.begin(streamHead(request, EVENT_STREAM, corsHeaders(request, deps.allowedOrigins)), attachments, () =>
    listenTo(reader, sse, { newest: true, deps }),
  )
}
