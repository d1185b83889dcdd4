import { type ClientHttp2Stream, constants } from 'node:http2'
import type { AbortCallbacks } from '../abort-callbacks.js'
import type { FcmAnswer } from './verdict.js'

const MAX_ANSWER_BYTES = 65_536

export interface ExchangeOptions {
  body: string
  signal: AbortSignal
  timeoutMs: number
  aborts: AbortCallbacks
}

/** Writes the body and waits for the answer. Settles when the stream closes, and closes it after `timeoutMs`. */
export function exchange(stream: ClientHttp2Stream, options: ExchangeOptions): Promise<FcmAnswer> {
  const { signal, aborts } = options
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let size = 0
    let status = 0
    let retryAfter: string | undefined
    let problem: Error | undefined
    let stopped = false
    const stop = () => {
      stopped = true
      stream.close(constants.NGHTTP2_CANCEL)
    }
    const timer = setTimeout(stop, options.timeoutMs)
    if (signal.aborted) stop()
    else aborts.add(signal, stop)
    stream.on('response', (headers) => {
      status = Number(headers[':status'])
      const after = headers['retry-after']
      retryAfter = Array.isArray(after) ? after[0] : after
    })
    stream.on('data', (part: Buffer) => {
      size += part.length
      if (size <= MAX_ANSWER_BYTES) parts.push(part)
    })
    stream.on('error', (error) => {
      problem = error
    })
    stream.on('close', () => {
      clearTimeout(timer)
      aborts.remove(signal, stop)
      if (stream.readableEnded && status > 0) {
        resolve({ kind: 'answer', status, retryAfter, text: Buffer.concat(parts).toString('utf8') })
        return
      }
      const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      // Without an id it never became a stream of the session.
      if (refused || stream.id === undefined) {
        resolve({
          kind: 'not-sent',
          reason: refused ? 'REFUSED_STREAM' : (codeOf(problem) ?? 'CONNECTION_FAILED'),
        })
        return
      }
      resolve({ kind: 'no-answer', reason: stopped ? 'TIMEOUT' : (codeOf(problem) ?? 'CONNECTION_LOST') })
    })
    stream.end(options.body)
  })
}

/** A stream that its session took down carries the session's error as its cause. */
function codeOf(problem: Error | undefined): string | undefined {
  const inner = problem?.cause instanceof Error ? codeOf(problem.cause) : undefined
  if (inner !== undefined) return inner
  return problem && 'code' in problem && typeof problem.code === 'string' ? problem.code : undefined
}
