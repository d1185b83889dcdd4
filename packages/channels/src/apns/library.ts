import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { createRequire } from 'node:module'

/** The part of node-apn's client that is used. */
export interface ApnClient {
  session?: ClientHttp2Session
  config: { token: unknown }
  write(
    notification: { headers: Record<string, string | number>; body: string },
    token: string,
    type: 'device',
    method: 'post',
  ): Promise<ApnResult>
  shutdown(): Promise<void>
}

export interface ApnResult {
  status?: number | string
  response?: { reason?: string; timestamp?: number }
  error?: Error
  'apns-id'?: string
}

export interface LibraryHooks {
  /** The stream of each attempt, by the attempt's own `apns-id`, and the session that it is one of. */
  onStream(attemptId: string, stream: ClientHttp2Stream, session: ClientHttp2Session): void
  /** The headers of each response; the library forgets Retry-After. */
  onResponse(attemptId: string, headers: IncomingHttpHeaders): void
}

type ClientConstructor = new (options: Record<string, unknown>) => ApnClient

const DRAIN_MS = 10_000

/**
 * node-apn's client, built through its own dependency injection with an `http2` that mends two things: a graceful
 * GOAWAY lets what is in flight finish (the library destroys the session at once), and streams and response headers
 * are seen, so that a lost stream tells whether it was ever written.
 */
export function loadApnClient(hooks: LibraryHooks): ClientConstructor {
  const require = createRequire(import.meta.url)
  const part = (name: string) => require(`@parse/node-apn/lib/${name}`)
  const logger = Object.assign(() => undefined, { enabled: false })
  const credentials = part('credentials')({ logger })
  const config = part('config')({
    logger,
    prepareCertificate: credentials.certificate,
    prepareToken: credentials.token,
    prepareCA: credentials.ca,
  })
  const connect = (url: string, options: http2.SecureClientSessionOptions) =>
    watched(http2.connect(url, options), hooks)
  return part('client')({
    logger,
    errorLogger: logger,
    config,
    http2: { constants: http2.constants, connect },
  }) as ClientConstructor
}

function watched(session: ClientHttp2Session, hooks: LibraryHooks): ClientHttp2Session {
  let graceful = false
  let draining = false
  const destroy = session.destroy.bind(session)
  session.prependListener('goaway', (code) => {
    if (code === http2.constants.NGHTTP2_NO_ERROR) graceful = true
  })
  session.destroy = (error?: Error, code?: number) => {
    if (!graceful || error || code !== undefined || session.destroyed) return destroy(error, code)
    if (draining) return
    draining = true
    const timer = setTimeout(() => destroy(), DRAIN_MS).unref()
    session.once('close', () => clearTimeout(timer))
  }
  const request = session.request.bind(session)
  session.request = (headers, options) => {
    const stream = request(headers, options)
    const attemptId = String((headers as Record<string, unknown>)['apns-id'] ?? '')
    hooks.onStream(attemptId, stream, session)
    const setTimeout = stream.setTimeout.bind(stream)
    // an answer that came while this process stood still is read before it is called missing
    stream.setTimeout = (ms, callback) =>
      setTimeout(ms, callback && (() => setImmediate(() => stream.closed || callback())))
    stream.on('response', (answered) => hooks.onResponse(attemptId, answered))
    return stream
  }
  return session
}
