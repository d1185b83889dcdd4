import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Poll } from '../clients/poll.js'
import type { EdgeDeps } from './edge-deps.js'
import { answerPreflight, corsHeaders } from './handshake.js'
import { attachAll, letIn, listenTo } from './reader.js'
import { BY_TOKEN_OR_TICKET, documented, ReadingHeaders, reading } from './shapes.js'

const PATH = '/v1/poll'
const MAX_WAIT_SECONDS = 30
const DEFAULT_WAIT_SECONDS = 25
/** The server gives up sockets on which nothing happens; a poll is one on purpose. */
const SOCKET_SLACK_MS = 15_000
const description = documented({
  summary: 'The events of channels, by long-poll',
  description:
    'Answers at once with what came since `last_event_id`, else as soon as something comes, else after `wait` ' +
    'seconds. Without a position it answers at once with one.',
  security: BY_TOKEN_OR_TICKET,
  headers: ReadingHeaders,
  querystring: Type.Object({
    ...reading,
    wait: Type.Optional(Type.String({ description: '0 to 30; 25 unless said.' })),
  }),
  response: {
    200: Type.Object({
      events: Type.Array(
        Type.Object({
          id: Type.Optional(Type.String({ description: 'Absent for `latest:`, which is not kept.' })),
          event: Type.String({ description: '`message`, or the name of the channel.' }),
          data: Type.Unknown(),
        }),
      ),
      last_event_id: Type.String({ description: 'For the next call.' }),
      channels: Type.Record(
        Type.String(),
        Type.Object({ recovered: Type.Boolean(), reason: Type.Optional(Type.String()) }),
      ),
      reset: Type.Optional(
        Type.Array(Type.Object({ channel: Type.String(), reason: Type.String() }), {
          description: 'Channels that can not be continued: fetch the state again.',
        }),
      ),
    }),
  },
})

/**
 * `GET /v1/poll?channel=user&last_event_id=…&wait=25`: where nothing else gets through. Answers at once with what was
 * missed since the id, else as soon as something comes, else after `wait` seconds.
 */
export function onPoll(http: FastifyInstance, deps: EdgeDeps): void {
  http.options(PATH, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins))
  http.get(PATH, { ...description, exposeHeadRoute: false }, async (request, reply) => {
    const waitMs = 1_000 * waitSeconds(request)
    const reader = await letIn(request, 'poll', deps)
    const { identity, wanted, release } = reader
    const poll = new Poll(
      {
        holder: identity,
        // who brings no position is given one at once; what was said last is not said at every turn
        waitMs: wanted.fresh
          ? 0
          : Math.min(waitMs, Math.min(identity.expiresAtMs, wanted.endsAtMs) - deps.now()),
      },
      { hub: deps.hub, connections: deps.connections, onClosed: release },
    )
    request.raw.socket.setTimeout(waitMs + SOCKET_SLACK_MS)
    reply.raw.on('close', () => poll.close())
    if (request.raw.socket.destroyed) poll.close()
    const join = poll.join.bind(poll)
    const attachments = await attachAll('poll', { wanted, join }, deps).catch((error: unknown) => {
      poll.close()
      throw error
    })
    poll.begin(attachments, () => listenTo(reader, poll, { newest: wanted.fresh, deps }))
    const answer = await poll.answer
    if (answer === undefined) throw new HttpProblem(403, 'DISMISSED', 'This user may not be connected.')
    return reply
      .type('application/json; charset=utf-8')
      .headers({ 'cache-control': 'no-store', ...corsHeaders(request, deps.allowedOrigins) })
      .send(answer)
  })
}

/** @throws HttpProblem 400 */
function waitSeconds(request: FastifyRequest): number {
  const { wait } = request.query as Record<string, unknown>
  const seconds = wait === undefined ? DEFAULT_WAIT_SECONDS : Number(wait)
  if (wait === '' || !(seconds >= 0 && seconds <= MAX_WAIT_SECONDS)) {
    throw new HttpProblem(400, 'WAIT_INVALID', `wait is from 0 to ${MAX_WAIT_SECONDS} seconds.`, {
      field: 'wait',
    })
  }
  return seconds
}
