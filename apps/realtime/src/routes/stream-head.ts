import type { FastifyRequest } from 'fastify'

/** Keeps proxies from holding a stream back. */
export const STREAM_HEADERS = {
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
}

/**
 * The head of an endless answer, written by hand: the body ends with the connection, so that every message is the same
 * bytes for all its readers (no chunk sizes) and HTTP/1.0 proxies can pass it on.
 */
export function streamHead(
  request: FastifyRequest,
  contentType: string,
  more: Readonly<Record<string, string>>,
): string {
  const headers = {
    'content-type': contentType,
    ...STREAM_HEADERS,
    'x-correlation-id': request.id,
    connection: 'close',
    ...more,
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 200 OK\r\n${lines.join('')}\r\n`
}
