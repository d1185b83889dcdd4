import { randomBytes } from 'node:crypto'
import { HttpProblem } from '@carillon/service'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Session, type SessionKind } from '../clients/session.js'
import type { Wire } from '../protocol/wires.js'
import { MAX_INBOUND_BYTES, type ProtocolDeps, sessionKind } from './edge-deps.js'
import { admit, answerPreflight, checkOrigin, corsHeaders, identify } from './handshake.js'
import { BY_TOKEN_OR_COMMAND, documented, stream } from './shapes.js'
import { streamHead } from './stream-head.js'
import { needSocket } from './take-socket.js'

const HTTP_STREAM = '/v1/connection/http_stream'
const SSE = '/v1/connection/sse'
const JSON_TYPE = 'application/json'
const BINARY_TYPE = 'application/octet-stream'
const protocol = 'Use a client of it. Told in full in docs/realtime-protocol.md.'
const DESCRIPTIONS = {
  stream: documented({
    summary: 'The client protocol over one endless answer',
    description: `Commands that follow go to \`POST /v1/emulation\`. ${protocol}`,
    security: BY_TOKEN_OR_COMMAND,
    body: stream([JSON_TYPE, BINARY_TYPE], 'The first commands: JSON, one a line, or Protobuf.'),
    response: { 200: stream([JSON_TYPE, BINARY_TYPE], 'Replies and pushes, until the connection ends.') },
  }),
  events: documented({
    summary: 'The client protocol over an EventSource',
    description: `Commands that follow go to \`POST /v1/emulation\`. ${protocol}`,
    security: BY_TOKEN_OR_COMMAND,
    querystring: Type.Object({
      cf_connect: Type.String({ description: 'The command `connect`, as JSON, and no other.' }),
    }),
    response: { 200: stream(['text/event-stream'], 'Replies and pushes, until the connection ends.') },
  }),
}

/**
 * The client protocol where WebSocket is blocked: what is said to the client is one endless answer, what it says
 * comes with the request that opened it and then through `POST /v1/emulation`.
 */
export async function onHttpStream(http: FastifyInstance, deps: ProtocolDeps): Promise<void> {
  const stream = {
    json: sessionKind(deps.wires.json.http_stream, deps),
    protobuf: sessionKind(deps.wires.protobuf.http_stream, deps),
    sse: sessionKind(deps.wires.json.sse, deps),
  }
  await http.register(async (scope) => {
    takeBodiesAsTheyAre(scope)
    for (const path of [HTTP_STREAM, SSE]) {
      scope.options(path, (request, reply) =>
        answerPreflight(request, reply, deps.allowedOrigins, 'GET, POST'),
      )
    }
    scope.post(HTTP_STREAM, { ...DESCRIPTIONS.stream, bodyLimit: MAX_INBOUND_BYTES }, (request, reply) => {
      const binary = isBinary(request)
      const kind = binary ? stream.protobuf : stream.json
      const type = binary ? BINARY_TYPE : `${JSON_TYPE}; charset=utf-8`
      return open(request, reply, { kind, type, commands: bodyOf(request), deps })
    })
    scope.get(SSE, DESCRIPTIONS.events, (request, reply) => {
      const { cf_connect: text } = request.query as Record<string, unknown>
      const commands = Buffer.from(typeof text === 'string' ? text : '')
      checkConnect(stream.sse.wire, commands)
      return open(request, reply, {
        kind: stream.sse,
        type: 'text/event-stream; charset=utf-8',
        commands,
        deps,
      })
    })
  })
}

/** Several lines of JSON are no JSON document, and Protobuf is bytes: the protocol reads its bodies itself. */
export function takeBodiesAsTheyAre(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    [JSON_TYPE, BINARY_TYPE, 'text/plain'],
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  )
}

export function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

export function isBinary(request: FastifyRequest): boolean {
  return request.headers['content-type']?.startsWith(BINARY_TYPE) === true
}

/**
 * Any page can make a browser fetch an address with our cookie and without saying where it comes from: then nothing may
 * follow from it but a stream that the page can't read. @throws HttpProblem 400
 */
function checkConnect(wire: Wire, text: Buffer): void {
  const [command, more] = wire.commands(text) ?? []
  if (command?.kind !== 'call' || command.method !== 'connect' || more !== undefined) throw noConnect()
}

function noConnect(): HttpProblem {
  return new HttpProblem(400, 'COMMANDS_MISSING', 'The connect command of the client protocol is missing.')
}

interface Opening {
  kind: SessionKind
  type: string
  commands: Buffer
  deps: ProtocolDeps
}

async function open(
  request: FastifyRequest,
  reply: FastifyReply,
  { kind, type, commands, deps }: Opening,
): Promise<FastifyReply> {
  needSocket(reply)
  checkOrigin(request, deps.allowedOrigins)
  const identity = await identify(request, deps.verifier)
  if (commands.length === 0 || commands.length > MAX_INBOUND_BYTES) throw noConnect()
  admit(kind.wire.transport, deps)
  const { socket } = request.raw
  if (socket.destroyed) return reply
  reply.hijack()
  socket.write(streamHead(request, type, corsHeaders(request, deps.allowedOrigins)))
  const sessionId = randomBytes(24).toString('base64url')
  const session = new Session(socket, kind, { identity, sessionId })
  deps.sessions.set(sessionId, session)
  socket.setTimeout(0)
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  socket.on('close', () => {
    deps.sessions.delete(sessionId)
    session.close({ orderly: false })
  })
  session.receive(commands)
  return reply
}
