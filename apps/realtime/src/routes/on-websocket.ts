import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { WebSocket } from 'ws'
import type { Identity } from '../access/identity.js'
import { Session, type SessionKind } from '../clients/session.js'
import { MAX_INBOUND_BYTES, type ProtocolDeps, sessionKind } from './edge-deps.js'
import { admit, checkOrigin, identify } from './handshake.js'
import { BY_TOKEN_OR_COMMAND, documented } from './shapes.js'

const PATH = '/v1/connection/websocket'
const PROTOBUF = 'centrifuge-protobuf'
const JSON_PROTOCOL = 'centrifuge-json'
const description = documented({
  summary: 'The client protocol over WebSocket',
  description:
    'Use a client of it: `@carillon/client`, `centrifuge`. Told in full in docs/realtime-protocol.md.',
  security: BY_TOKEN_OR_COMMAND,
  querystring: Type.Object({
    cf_protocol: Type.Optional(
      Type.Literal('protobuf', { description: 'Where no subprotocol can be set. JSON unless said.' }),
    ),
  }),
  response: { 101: Type.Null({ description: 'The upgrade.' }) },
})

/** `GET /v1/connection/websocket`: the Centrifugo client protocol, in JSON unless the subprotocol says Protobuf. */
export async function onWebSocket(http: FastifyInstance, deps: ProtocolDeps): Promise<void> {
  await http.register(websocket, {
    options: {
      maxPayload: MAX_INBOUND_BYTES,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: (offered) =>
        offered.has(PROTOBUF) ? PROTOBUF : offered.has(JSON_PROTOCOL) ? JSON_PROTOCOL : false,
    },
  })
  http.server.on('upgrade', refuseBehindOthers)
  http.server.prependListener('upgrade', forgetEmptyProtocol)
  const identities = new WeakMap<FastifyRequest, Identity>()
  const json = sessionKind(deps.wires.json.websocket, deps)
  const protobuf = sessionKind(deps.wires.protobuf.websocket, deps)
  // a plugin of its own, so that its routes are made after the websocket plugin is ready
  await http.register(async (scope) => {
    // the plugin hides its routes from descriptions
    scope.addHook('onRoute', (route) => {
      Object.assign(route, description)
    })
    scope.get(
      PATH,
      {
        websocket: true,
        // before the upgrade a refusal is still an ordinary answer with a reason
        preHandler: async (request) => {
          checkOrigin(request, deps.allowedOrigins)
          const identity = await identify(request, deps.verifier)
          if (identity !== undefined) identities.set(request, identity)
          admit('websocket', deps)
        },
      },
      (socket, request) => {
        const kind = wantsProtobuf(socket, request) ? protobuf : json
        serve(socket, request.raw, identities.get(request), kind)
      },
    )
  })
}

/**
 * Sent behind a request that waits for its answer: the plugin leaves such a socket to nobody, so that not even its end
 * would be seen.
 */
function refuseBehindOthers(request: IncomingMessage, socket: Duplex): void {
  const answer = answerOn(socket)
  if (answer && answer.req !== request) socket.destroy()
}

/** RFC 6455 forbids the header with nothing in it, and versions of centrifuge-python send it all the same. */
function forgetEmptyProtocol({ headers }: IncomingMessage): void {
  if (headers['sec-websocket-protocol'] === '') delete headers['sec-websocket-protocol']
}

/** Whose turn it is on a socket; shown by Node 20 to 24, never promised. */
function answerOn(socket: Duplex): ServerResponse | null | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage
}

/** By the subprotocol; clients that can't set one say it in the address. */
function wantsProtobuf(socket: WebSocket, request: FastifyRequest): boolean {
  const query = request.query as Record<string, unknown>
  return socket.protocol === PROTOBUF || query.cf_protocol === 'protobuf' || query.format === 'protobuf'
}

function serve(
  socket: WebSocket,
  request: IncomingMessage,
  identity: Identity | undefined,
  kind: SessionKind,
): void {
  const raw = request.socket
  const session = new Session(raw, kind, { identity, sessionId: '' })
  // the plugin's listener holds the whole request for as long as the socket lives
  socket.removeAllListeners('error')
  socket.on('error', () => undefined)
  answerOn(raw)?.detachSocket?.(raw)
  socket.on('message', (data: Buffer) => session.receive(data))
  socket.on('close', (code: number) => session.close({ orderly: GOODBYES.has(code) }))
}

/**
 * A client that closes by itself says so, with a code or with none as browsers do; whoever is cut off, or leaves the
 * page, does not.
 */
const GOODBYES: ReadonlySet<number> = new Set([1_000, 1_005])
