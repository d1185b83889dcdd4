import { type Dispatcher, request } from 'undici'
import { startDeadline } from '../deadline.js'
import { ChannelError } from '../errors.js'

export interface HttpRequest {
  url: string
  /** Absent: POST. */
  method?: 'GET'
  headers: Record<string, string>
  body: Buffer | string | null
  dispatcher: Dispatcher
  signal: AbortSignal
  timeoutMs: number
  /** Bytes of the answer that are read; the rest is thrown away with the connection. */
  maxAnswerBytes: number
}

/** What came of a request: an answer, or the way it failed. */
export type HttpOutcome =
  | { kind: 'answer'; status: number; headers: Record<string, string | string[] | undefined>; text: string }
  /** Nothing was processed: refused by us, not resolved, not connected. */
  | { kind: 'not-sent'; reason: string; refused: boolean }
  /** Written, no answer: it may have been processed. */
  | { kind: 'no-answer'; reason: string }

const NEVER_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  // Pools are closed only when nothing is under way, so these met a request that was never handed on.
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
])

/** Asks once and reads at most `maxAnswerBytes` of the answer. Follows no redirect, decompresses nothing, never throws. */
export async function post(options: HttpRequest): Promise<HttpOutcome> {
  const timeout = new AbortController()
  const abort = () => timeout.abort()
  const deadline = startDeadline(abort, options.timeoutMs)
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()
  try {
    const answer = await request(options.url, {
      method: options.method ?? 'POST',
      headers: options.headers,
      body: options.body,
      dispatcher: options.dispatcher,
      signal: timeout.signal,
    })
    const text = await readSome(answer.body, options.maxAnswerBytes)
    return { kind: 'answer', status: answer.statusCode, headers: answer.headers, text }
  } catch (error) {
    return failed(error, timeout.signal.aborted)
  } finally {
    deadline.clear()
    options.signal.removeEventListener('abort', abort)
  }
}

async function readSome(
  body: AsyncIterable<Buffer> & { destroy(): unknown },
  maxBytes: number,
): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of body) {
      parts.push(part)
      size += part.length
      if (size >= maxBytes) break
    }
  } catch (error) {
    // The status line has decided already; a body that breaks off only shortens what is noted.
    parts.push(Buffer.from(` (${error instanceof Error ? error.message : 'broken off'})`))
  }
  return Buffer.concat(parts).subarray(0, maxBytes).toString('utf8')
}

function failed(error: unknown, timedOut: boolean): HttpOutcome {
  const chain = causes(error)
  if (chain.some((one) => one instanceof ChannelError)) {
    return { kind: 'not-sent', reason: 'EGRESS_REFUSED', refused: true }
  }
  const codes = chain.map((one) => ('code' in one && typeof one.code === 'string' ? one.code : ''))
  const unreached = codes.find((code) => NEVER_CONNECTED.has(code) || isTlsCode(code))
  if (unreached) return { kind: 'not-sent', reason: unreached, refused: false }
  if (timedOut) return { kind: 'no-answer', reason: 'TIMEOUT' }
  return { kind: 'no-answer', reason: codes.find((code) => code !== '') ?? 'CONNECTION_LOST' }
}

function isTlsCode(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/.test(code)
}

/** The error, its causes and, for several addresses tried, each of theirs. */
function causes(error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  const inner = error instanceof AggregateError ? error.errors : []
  return [error, ...causes(error.cause), ...inner.flatMap(causes)]
}
