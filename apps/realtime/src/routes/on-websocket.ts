import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpProblem } from '@carillon/service'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { Identity } from '../access/identity.js'
import { WebSocketSession } from '../clients/websocket-session.js'
import { checkOrigin, identify } from './handshake.js'
import type { EdgeDeps } from './on-sse.js'

export interface WebSocketLimits {
  authenticateWithinMs: number
  pingSeconds: number
  maxChannels: number
}

const PATH = '/v1/connection/websocket'
const MAX_INBOUND_BYTES = 64 * 1024

/** `GET /v1/connection/websocket`: the Centrifugo client protocol in JSON. */
export async function onWebSocket(
  http: FastifyInstance,
  limits: WebSocketLimits,
  deps: EdgeDeps,
): Promise<void> {
  await http.register(websocket, {
    options: { maxPayload: MAX_INBOUND_BYTES, perMessageDeflate: false, clientTracking: false },
  })
  const identities = new WeakMap<FastifyRequest, Identity>()
  // a plugin of its own, so that its routes are made after the websocket plugin is ready
  await http.register(async (scope) => {
    scope.get(
      PATH,
      {
        websocket: true,
        // before the upgrade a refusal is still an ordinary answer with a reason
        preHandler: async (request) => {
          checkOrigin(request, deps.allowedOrigins)
          const identity = await identify(request, deps.verifier)
          if (identity !== undefined) identities.set(request, identity)
          if (!deps.connections.admit()) {
            deps.events.refused('websocket', 'admission')
            throw new HttpProblem(503, 'OVERLOADED', 'Too many connections at this moment.', {
              headers: { 'retry-after': String(1 + Math.floor(Math.random() * 4)) },
            })
          }
        },
      },
      (socket, request) => serve(socket, request.raw, identities.get(request), limits, deps),
    )
  })
}

function serve(
  socket: WebSocket,
  request: IncomingMessage,
  identity: Identity | undefined,
  limits: WebSocketLimits,
  deps: EdgeDeps,
): void {
  const raw = request.socket
  const session = new WebSocketSession(
    raw,
    identity,
    { ...limits, maxQueuedBytes: deps.maxQueuedBytes },
    {
      hub: deps.hub,
      connections: deps.connections,
      verifier: deps.verifier,
      now: deps.now,
      onAttached: (attachment) => deps.events.attached('websocket', attachment),
      onDisconnect: (disconnect) => deps.events.disconnected(disconnect),
      onFailure: (error) => deps.events.failed(error),
    },
  )
  // the plugin's listener holds the whole request for as long as the socket lives
  socket.removeAllListeners('error')
  socket.on('error', () => undefined)
  const response = (raw as { _httpMessage?: ServerResponse })._httpMessage
  response?.detachSocket?.(raw)
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) session.refuseBinary()
    else session.receive(data.toString())
  })
  socket.on('close', () => session.close())
}
