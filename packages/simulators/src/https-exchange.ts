import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Readable, Writable } from 'node:stream'
import type { SimulatorReply } from './https-server.js'

/** One request and how it is answered, whichever HTTP it came over. */
export interface Exchange {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: Record<string, string>
  readonly session: Http2Session | undefined
  /** Undefined when the client left first. */
  readonly body: Promise<Buffer | undefined>
  remotePort(): number
  answer(reply: SimulatorReply, dripMs: number | undefined): void
  abandon(how: 'reset' | 'refuse'): void
}

const MAX_BODY_BYTES = 1_048_576

export function overHttp2(
  stream: ServerHttp2Stream,
  session: Http2Session,
  headers: IncomingHttpHeaders,
): Exchange {
  return {
    method: String(headers[':method']),
    path: pathOf(String(headers[':path'])),
    // Node joins repeated request headers; only Set-Cookie, which nobody sends here, is a list.
    headers: headers as Record<string, string>,
    session,
    body: readBody(stream),
    remotePort: () => session.socket?.remotePort ?? 0,
    answer(reply, dripMs) {
      if (stream.destroyed || stream.headersSent) return
      const endStream = !reply.body
      stream.respond({ ':status': reply.status, ...reply.headers }, { endStream })
      if (endStream) return
      if (dripMs !== undefined) write(stream, reply.body, dripMs)
      // ended with its last write, Node makes an error of each stream that closes before the write is reported
      else stream.write(reply.body, () => stream.end())
    },
    abandon(how) {
      if (how === 'reset') session.destroy()
      else stream.close(constants.NGHTTP2_REFUSED_STREAM)
    },
  }
}

export function overHttp1(request: IncomingMessage, response: ServerResponse): Exchange {
  return {
    method: request.method ?? '',
    path: pathOf(request.url ?? '/'),
    headers: request.headers as Record<string, string>,
    session: undefined,
    body: readBody(request),
    remotePort: () => request.socket.remotePort ?? 0,
    answer(reply, dripMs) {
      if (response.destroyed || response.headersSent) return
      response.writeHead(reply.status, reply.headers ?? {})
      write(response, reply.body, dripMs)
    },
    abandon: () => request.socket.destroy(),
  }
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

function readBody(stream: Readable): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let size = 0
    stream.on('data', (part: Buffer) => {
      size += part.length
      // what is beyond any provider's limit is not kept: it is refused for its size anyway
      if (size - part.length <= MAX_BODY_BYTES) parts.push(part)
    })
    stream.on('end', () => resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts)))
    stream.on('close', () => resolve(undefined))
  })
}

function write(to: Writable, body = '', dripMs?: number): void {
  if (dripMs === undefined || body === '') {
    to.end(body)
    return
  }
  const bytes = Buffer.from(body)
  let sent = 0
  const timer = setInterval(() => {
    if (to.destroyed) return clearInterval(timer)
    to.write(bytes.subarray(sent, ++sent))
    if (sent < bytes.length) return undefined
    clearInterval(timer)
    to.end()
    return undefined
  }, dripMs)
  to.once('close', () => clearInterval(timer))
}
