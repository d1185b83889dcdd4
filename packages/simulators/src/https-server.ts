import { createServer as createHttp1Server } from 'node:http'
import { constants, createServer as createHttp2Server, type Http2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Identity } from './authority.js'
import { type Exchange, overHttp1, overHttp2 } from './https-exchange.js'

export interface SimulatorRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer
  /** Undefined over HTTP/1.1. */
  session: Http2Session | undefined
  /** Tells this session to go away: what is in flight is still answered, then the connection ends. */
  goAway(last?: Buffer): void
  /** Set by a fault: the answer's body comes a byte at a time, each after this many milliseconds. */
  dripMs?: number
}

export interface SimulatorReply {
  status: number
  headers?: Record<string, string>
  body?: string
  /** Called once the answer was handed to the connection. */
  after?: () => void
}

/** A reply, or what happens to the request instead. */
export type Outcome = SimulatorReply | 'hang' | 'reset' | 'fin' | 'refuse'

export interface HttpsServerOptions {
  identity: Identity
  handle(request: SimulatorRequest): Promise<Outcome>
  /** Milliseconds that every answer takes longer; asked at each. */
  latencyMs?: () => number
  /** Streams that a new session may open. Default 100. */
  maxConcurrentStreams?: number
  /** Also speaks HTTP/1.1. */
  http1: boolean
  /** Default: a free one. */
  port?: number | undefined
}

export interface HttpsCounters {
  requests: number
  /** TCP connections ever taken. */
  connections: number
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
  /** True offers new connections HTTP/1.1 alone. Default false. */
  http1Only: boolean
  /** Tells every session to go away; what is in flight is still answered. */
  goAway(): void
  /** Cuts every connection: `fin` or `rst`. */
  cut(how: 'fin' | 'rst'): void
  /** Connections open now. */
  open(): number
}

/** How long an idle connection of HTTP/1.1 is kept; shorter, and a client that stood still meets its end. */
const KEPT_MS = 60_000
/** How long what was answered may take to leave before the connection ends. */
const GOODBYE_MS = 50

/**
 * An HTTPS server on 127.0.0.1 that speaks HTTP/2 and, if asked, HTTP/1.1.
 * @throws Error with code EADDRINUSE when the port asked for is taken
 */
export async function startHttpsServer(options: HttpsServerOptions): Promise<HttpsServer> {
  const counters = emptyCounters()
  const sockets = new Set<Socket>()
  const sessions = new Map<Http2Session, number>()
  const leaving = new WeakSet<Http2Session>()
  const finish = (remotePort: number) => {
    for (const socket of sockets) if (socket.remotePort === remotePort) socket.destroy()
  }
  const goAway = (session: Http2Session, last?: Buffer) => {
    if (leaving.has(session) || session.destroyed) return
    leaving.add(session)
    session.goaway(constants.NGHTTP2_NO_ERROR, undefined, last)
    if ((sessions.get(session) ?? 0) === 0) endSoon(session)
  }
  // Node reads nothing more on a session that went away, so it would never see that the client left, too.
  const endSoon = (session: Http2Session) => {
    const remotePort = session.socket?.remotePort
    if (remotePort !== undefined) setTimeout(() => finish(remotePort), GOODBYE_MS).unref()
  }
  const serve = (exchange: Exchange) => {
    counters.requests++
    const reply = (outcome: SimulatorReply, dripMs?: number) => {
      try {
        exchange.answer(outcome, dripMs)
        counters.byStatus[outcome.status] = (counters.byStatus[outcome.status] ?? 0) + 1
        outcome.after?.()
      } catch (error) {
        fail(error)
      }
    }
    // a defect of ours, or a fault rule that no HTTP can say: seen as a failure of the provider
    const fail = (error: unknown) => {
      counters.byStatus[500] = (counters.byStatus[500] ?? 0) + 1
      exchange.answer({ status: 500, body: `simulator: ${String(error)}` }, undefined)
    }
    answer(exchange, { options, reply, finish, goAway }).catch(fail)
  }
  const http2 = createHttp2Server({
    maxSessionMemory: 1000,
    settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 100 },
  })
  http2.on('sessionError', ignore)
  http2.on('session', (session) => {
    counters.sessions++
    sessions.set(session, 0)
    session.on('error', ignore)
    session.on('close', () => sessions.delete(session))
  })
  http2.on('stream', (stream, headers) => {
    const { session } = stream
    if (!session) return
    const now = (sessions.get(session) ?? 0) + 1
    sessions.set(session, now)
    if (now > counters.maxOpenStreams) counters.maxOpenStreams = now
    stream.on('error', ignore)
    stream.on('close', () => {
      const left = (sessions.get(session) ?? 0) - 1
      if (sessions.has(session)) sessions.set(session, left)
      if (left <= 0 && leaving.has(session)) endSoon(session)
    })
    serve(overHttp2(stream, session, headers))
  })
  const http1 = createHttp1Server({ keepAliveTimeout: KEPT_MS }, (request, response) =>
    serve(overHttp1(request, response)),
  )
  const server = createTlsServer({
    ...options.identity,
    ALPNCallback({ protocols }) {
      const spoken = simulator.http1Only ? [] : ['h2']
      if (options.http1) spoken.push('http/1.1')
      return spoken.find((protocol) => protocols.includes(protocol))
    },
  })
  server.on('connection', (socket: Socket) => {
    counters.connections++
    sockets.add(socket)
    socket.on('error', ignore)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', (socket) => {
    counters.handshakes++
    socket.on('error', ignore)
    if (socket.alpnProtocol === 'h2') http2.emit('connection', socket)
    else if (options.http1) http1.emit('connection', socket)
    else socket.destroy()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const simulator: HttpsServer = {
    port: (server.address() as AddressInfo).port,
    counters,
    http1Only: false,
    goAway() {
      for (const session of sessions.keys()) goAway(session)
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
  return simulator
}

export function emptyCounters(): HttpsCounters {
  return { requests: 0, connections: 0, handshakes: 0, sessions: 0, byStatus: {}, maxOpenStreams: 0 }
}

/** A peer that leaves is ordinary here; Node reports it as an error event, which must have a listener. */
function ignore(): undefined {
  return undefined
}

interface Answering {
  options: HttpsServerOptions
  reply(outcome: SimulatorReply, dripMs?: number): void
  /** Ends the connection from that port of the client. */
  finish(remotePort: number): void
  goAway(session: Http2Session, last?: Buffer): void
}

async function answer(exchange: Exchange, { options, reply, finish, goAway }: Answering): Promise<void> {
  const body = await exchange.body
  // The client left before its request was whole: nobody waits for an answer.
  if (body === undefined) return
  const { method, path, headers, session } = exchange
  const request: SimulatorRequest = {
    ...{ method, path, headers, body, session },
    goAway: (last) => session && goAway(session, last),
  }
  const outcome = await options.handle(request)
  if (outcome === 'hang') return
  if (outcome === 'fin') return finish(exchange.remotePort())
  if (typeof outcome === 'string') return exchange.abandon(outcome)
  const wait = options.latencyMs?.() ?? 0
  // timers of one duration share a list in Node: this costs the same at ten thousand waiting answers
  if (wait > 0) setTimeout(() => reply(outcome, request.dripMs), wait)
  else reply(outcome, request.dripMs)
}
