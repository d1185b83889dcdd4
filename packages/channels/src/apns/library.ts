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
  /** Every response's headers, beside the attempt's own `apns-id`; the library forgets Retry-After. */
  onResponse(attemptId: string, headers: IncomingHttpHeaders): void
  /** How a stream without a response closed. `written` is false when its headers never left. */
  onLost(attemptId: string, lost: { written: boolean; rstCode: number }): void
}

type ClientConstructor = new (options: Record<string, unknown>) => ApnClient

const DRAIN_MS = 10_000

/**
 * node-apn's client, built through its own dependency injection with an `http2` that mends three things: a graceful
 * GOAWAY lets what is in flight finish (the library destroys the session at once), response headers are seen, and a
 * lost stream says whether it was ever written.
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
    watchStream(stream, String((headers as Record<string, unknown>)['apns-id'] ?? ''), hooks)
    return stream
  }
  return session
}

function watchStream(stream: ClientHttp2Stream, attemptId: string, hooks: LibraryHooks): void {
  let answered = false
  stream.on('response', (headers) => {
    answered = true
    hooks.onResponse(attemptId, headers)
  })
  const lost = () => {
    // Without an id it never became a stream of the session.
    if (!answered) hooks.onLost(attemptId, { written: stream.id !== undefined, rstCode: stream.rstCode ?? 0 })
  }
  // Before the library's own listeners, so that the outcome is known when its promise settles.
  stream.prependListener('aborted', lost)
  stream.prependListener('error', lost)
  stream.prependListener('close', lost)
}
