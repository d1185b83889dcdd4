import { isToken, sessionSubject } from '@carillon/contracts'
import { type Answering, ApiError, answerQuestions, ask, type Connection } from '@carillon/jetstream'
import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { isRecord } from '../protocol/commands.js'
import type { EmulatedMessage } from '../protocol/protobuf.js'
import { MAX_INBOUND_BYTES, type ProtocolDeps } from './edge-deps.js'
import { answerPreflight, checkOrigin } from './handshake.js'
import { bodyOf, isBinary, takeBodiesAsTheyAre } from './on-http-stream.js'
import { documented } from './shapes.js'

const PATH = '/v1/emulation'
/** A client's node is asked this long; then the client makes a new stream. */
const FORWARD_TIMEOUT_MS = 2_000
const description = documented({
  summary: 'Commands of a client protocol without a socket',
  description: 'Any node takes them. The session, told with the reply to `connect`, is the secret.',
  security: [],
  body: {
    content: {
      'application/json': {
        schema: Type.Object({
          node: Type.String(),
          session: Type.String(),
          data: Type.String({ description: 'Commands as JSON, one a line.' }),
        }),
      },
      'application/octet-stream': { schema: Type.String({ description: 'The same as Protobuf.' }) },
    },
  },
  response: { 204: Type.Null({ description: 'Taken; what comes of it is said on the stream.' }) },
})

/**
 * `POST /v1/emulation` takes a client's commands on any node and hands them to the one that holds its stream: no
 * sticky sessions. 204 when that node runs (a session gone from it has ended its stream), 404 when it does not.
 * @returns the answering side: commands that other nodes hand over
 */
export async function onEmulation(
  http: FastifyInstance,
  connection: Connection,
  deps: ProtocolDeps,
): Promise<Answering> {
  const { node } = deps.limits
  await http.register(async (scope) => {
    takeBodiesAsTheyAre(scope)
    scope.options(PATH, (request, reply) => answerPreflight(request, reply, deps.allowedOrigins, 'POST'))
    scope.post(PATH, { ...description, bodyLimit: 2 * MAX_INBOUND_BYTES }, async (request, reply) => {
      checkOrigin(request, deps.allowedOrigins)
      const message = readMessage(request, deps)
      if (message.node === node) deps.sessions.get(message.session)?.receive(message.data)
      else await forward(connection, message)
      return reply.code(204).send()
    })
  })
  return answerQuestions(
    connection,
    sessionSubject(node),
    { onFailure: (error) => deps.events.failed(error) },
    (question) => {
      const { session, data } = isRecord(question) ? question : {}
      if (typeof session !== 'string' || typeof data !== 'string') return { ok: false }
      deps.sessions.get(session)?.receive(Buffer.from(data, 'base64'))
      return { ok: true }
    },
  )
}

/** @throws HttpProblem 404 when no such node answers, 503 when it could not be asked */
async function forward(connection: Connection, { node, session, data }: EmulatedMessage): Promise<void> {
  const gone = new HttpProblem(404, 'NODE_UNKNOWN', 'The node of this session is gone: connect again.')
  if (!isToken(node)) throw gone
  try {
    const question = { session, data: data.toString('base64') }
    await ask(connection, sessionSubject(node), question, { timeoutMs: FORWARD_TIMEOUT_MS })
  } catch (error) {
    if (error instanceof ApiError && error.code === 'UNAVAILABLE' && connection.connected) throw gone
    throw new HttpProblem(503, 'UNAVAILABLE', 'The node of this session did not answer.')
  }
}

/** @throws HttpProblem 400 */
function readMessage(request: FastifyRequest, deps: ProtocolDeps): EmulatedMessage {
  const body = bodyOf(request)
  const message = isBinary(request) ? deps.wires.codec.emulated(body) : readJson(body)
  if (message !== undefined && message.data.length <= MAX_INBOUND_BYTES) return message
  throw new HttpProblem(400, 'COMMANDS_INVALID', 'Send node, session and data as the client protocol says.')
}

function readJson(body: Buffer): EmulatedMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    return undefined
  }
  const { node, session, data } = isRecord(value) ? value : {}
  if (typeof node !== 'string' || typeof session !== 'string' || typeof data !== 'string') return undefined
  return { node, session, data: Buffer.from(data) }
}
