import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { trusted } from '../egress/agent.js'
import type { DialAddress, Timeouts } from '../settings.js'
import type { FcmAnswer } from './verdict.js'

const HOST = 'fcm.googleapis.com'
const MAX_ANSWER_BYTES = 65_536
/** Google lets 100 streams run on one connection. */
const STREAMS = 100

export interface WireOptions {
  dial: DialAddress | undefined
  ca: string | undefined
  timeouts: Timeouts
}

export interface WireRequest {
  path: string
  headers: Record<string, string>
  body: string
  signal: AbortSignal
}

/**
 * One HTTP/2 session to FCM, opened on demand and kept: the SDK opens a new one per batch, with a malformed
 * `:scheme`, and waits for ever when the peer goes away. Every request here settles within `requestMs`.
 */
export interface Wire extends AsyncDisposable {
  request(request: WireRequest): Promise<FcmAnswer>
}

export function createWire(options: WireOptions): Wire {
  const sessions = new Set<ClientHttp2Session>()
  let current: ClientHttp2Session | undefined
  let closed = false

  const session = (): ClientHttp2Session => {
    if (current && !current.closed && !current.destroyed) return current
    const ca = trusted(options.ca)
    const opened = connect(`https://${HOST}`, {
      peerMaxConcurrentStreams: STREAMS,
      createConnection: () =>
        connectTls({
          host: options.dial?.host ?? HOST,
          port: options.dial?.port ?? 443,
          servername: HOST,
          ALPNProtocols: ['h2'],
          ...(ca ? { ca } : {}),
        }),
    })
    sessions.add(opened)
    // Each stream reports its own failure; a session without a listener would throw.
    opened.on('error', () => opened.destroy())
    opened.on('close', () => sessions.delete(opened))
    const greeting = setTimeout(() => opened.destroy(), options.timeouts.connectMs)
    opened.once('connect', () => clearTimeout(greeting))
    opened.once('close', () => clearTimeout(greeting))
    current = opened
    return opened
  }

  return {
    async request(request) {
      if (closed) return { kind: 'not-sent', reason: 'CLOSED' }
      const over = session()
      let stream: ClientHttp2Stream
      try {
        stream = over.request({
          ':method': 'POST',
          ':path': request.path,
          ':scheme': 'https',
          ':authority': HOST,
          'content-type': 'application/json',
          ...request.headers,
        })
      } catch {
        return { kind: 'not-sent', reason: 'SESSION_CLOSED' }
      }
      return answerOf(stream, { request, timeoutMs: options.timeouts.requestMs, over })
    },
    async [Symbol.asyncDispose]() {
      closed = true
      await Promise.all(
        [...sessions].map(
          (open) =>
            new Promise<void>((resolve) => {
              open.once('close', () => resolve())
              open.destroy()
            }),
        ),
      )
    },
  }
}

interface Asked {
  request: WireRequest
  timeoutMs: number
  over: ClientHttp2Session
}

function answerOf(stream: ClientHttp2Stream, { request, timeoutMs, over }: Asked): Promise<FcmAnswer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let size = 0
    let status = 0
    let retryAfter: string | undefined
    let problem: Error | undefined
    let ended = false
    let timedOut = false
    let written = !stream.pending
    const stop = () => {
      timedOut = true
      stream.close(constants.NGHTTP2_CANCEL)
    }
    const timer = setTimeout(() => {
      stop()
      // Nothing came back on the whole session: it may be dead without a FIN, so the next request opens another.
      if (status === 0) over.close()
    }, timeoutMs)
    request.signal.addEventListener('abort', stop, { once: true })
    stream.once('ready', () => {
      written = true
    })
    stream.once('response', (headers) => {
      status = Number(headers[':status'])
      const after = headers['retry-after']
      retryAfter = Array.isArray(after) ? after[0] : after
    })
    stream.on('data', (part: Buffer) => {
      size += part.length
      if (size <= MAX_ANSWER_BYTES) parts.push(part)
    })
    stream.once('end', () => {
      ended = true
    })
    stream.once('error', (error) => {
      problem = error
    })
    stream.once('close', () => {
      clearTimeout(timer)
      request.signal.removeEventListener('abort', stop)
      if (ended && status > 0) {
        resolve({ kind: 'answer', status, retryAfter, text: Buffer.concat(parts).toString('utf8') })
      } else if (!written || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
        const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
        resolve({
          kind: 'not-sent',
          reason: refused ? 'REFUSED_STREAM' : (codeOf(problem) ?? 'CONNECTION_FAILED'),
        })
      } else {
        resolve({ kind: 'no-answer', reason: timedOut ? 'TIMEOUT' : (codeOf(problem) ?? 'CONNECTION_LOST') })
      }
    })
    stream.end(request.body)
  })
}

/** A stream that its session took down carries the session's error as its cause. */
function codeOf(problem: Error | undefined): string | undefined {
  const inner = problem?.cause instanceof Error ? codeOf(problem.cause) : undefined
  if (inner !== undefined) return inner
  return problem && 'code' in problem && typeof problem.code === 'string' ? problem.code : undefined
}
