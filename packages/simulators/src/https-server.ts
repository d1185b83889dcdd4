import {
  constants,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Identity } from './authority.js'

export interface SimulatorRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer
  /** Undefined over HTTP/1.1. */
  session: Http2Session | undefined
}

export interface SimulatorReply {
  status: number
  headers?: Record<string, string>
  body?: string
}

/** A reply, or what happens to the request instead. */
export type Outcome = SimulatorReply | 'hang' | 'reset' | 'refuse'

export interface HttpsServerOptions {
  identity: Identity
  handle(request: SimulatorRequest): Promise<Outcome>
  /** Streams that a new session may open. Default 100. */
  maxConcurrentStreams?: number
  /** Also speaks HTTP/1.1. */
  http1: boolean
}

export interface HttpsCounters {
  requests: number
  handshakes: number
  /** HTTP/2 sessions ever opened. */
  sessions: number
  /** Answers by status. */
  byStatus: Record<string, number>
  /** Most streams that one session had open at once. */
  maxOpenStreams: number
}

export interface HttpsServer extends AsyncDisposable {
  readonly port: number
  readonly counters: HttpsCounters
  /** Tells every session to go away; what is in flight is still answered. */
  goAway(): void
  /** Cuts every connection: `fin` or `rst`. */
  cut(how: 'fin' | 'rst'): void
  /** Connections open now. */
  open(): number
}

const MAX_BODY_BYTES = 1_048_576

/** An HTTPS server on 127.0.0.1 that speaks HTTP/2 and, if asked, HTTP/1.1. */
export async function startHttpsServer(options: HttpsServerOptions): Promise<HttpsServer> {
  const counters: HttpsCounters = { requests: 0, handshakes: 0, sessions: 0, byStatus: {}, maxOpenStreams: 0 }
  const sockets = new Set<Socket>()
  const sessions = new Map<Http2Session, number>()
  // A peer that leaves is ordinary here; Node reports it as an error event, which must have a listener.
  const ignore = () => undefined
  const server = createSecureServer({
    ...options.identity,
    allowHTTP1: options.http1,
    maxSessionMemory: 1000,
    settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 100 },
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', ignore)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', () => counters.handshakes++)
  server.on('sessionError', ignore)
  server.on('session', (session) => {
    counters.sessions++
    sessions.set(session, 0)
    session.on('error', ignore)
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream) => {
    const { session } = stream
    if (!session) return
    const now = (sessions.get(session) ?? 0) + 1
    sessions.set(session, now)
    counters.maxOpenStreams = Math.max(counters.maxOpenStreams, now)
    stream.on('error', ignore)
    stream.on('close', () => {
      const left = sessions.get(session)
      if (left !== undefined) sessions.set(session, left - 1)
    })
  })
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    counters.requests++
    void serve({ request, response, handle: options.handle, counters })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    counters,
    goAway() {
      for (const session of sessions.keys()) session.goaway(constants.NGHTTP2_NO_ERROR)
    },
    cut(how) {
      for (const socket of sockets) {
        if (how === 'rst') socket.resetAndDestroy()
        else socket.destroy()
      }
    },
    open: () => sockets.size,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const session of sessions.keys()) session.destroy()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

interface Serving {
  request: Http2ServerRequest
  response: Http2ServerResponse
  handle: HttpsServerOptions['handle']
  counters: HttpsCounters
}

async function serve({ request, response, handle, counters }: Serving): Promise<void> {
  // Over HTTP/1.1 Node hands in its HTTP/1 objects, which have no stream of their own.
  const over2 = request.httpVersionMajor === 2
  const body = await readBody(request)
  if (body === undefined) return
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  )
  const outcome = await handle({
    method: request.method,
    path: request.url.split('?')[0] ?? '/',
    headers,
    body,
    session: over2 ? request.stream.session : undefined,
  })
  if (outcome === 'hang') return
  if (outcome === 'reset') {
    if (over2) request.stream.session?.destroy()
    else request.socket.destroy()
    return
  }
  if (outcome === 'refuse') {
    if (over2) response.stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else request.socket.destroy()
    return
  }
  counters.byStatus[outcome.status] = (counters.byStatus[outcome.status] ?? 0) + 1
  if (over2 && (response.stream?.destroyed ?? true)) return
  response.writeHead(outcome.status, outcome.headers ?? {})
  response.end(outcome.body ?? '')
}

async function readBody(request: Http2ServerRequest): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of request) {
      parts.push(part)
      size += part.length
      if (size > MAX_BODY_BYTES) break
    }
  } catch {
    // The client left before its request was whole: nobody waits for an answer.
    return undefined
  }
  return Buffer.concat(parts)
}
