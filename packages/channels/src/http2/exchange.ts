import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2'
import type { AbortCallbacks } from '../abort-callbacks.js'
import { startDeadline } from '../deadline.js'
import type { HttpOutcome } from '../egress/post.js'

export interface ExchangeOptions {
  body: string | Buffer
  signal: AbortSignal
  timeoutMs: number
  /** Bytes of the answer that are read; the rest is refused. */
  maxAnswerBytes: number
  aborts: AbortCallbacks
}

/** Writes the body and waits for the answer. Settles when the stream closes, and closes it after `timeoutMs`. */
export function exchange(stream: ClientHttp2Stream, options: ExchangeOptions): Promise<HttpOutcome> {
  const { signal, aborts } = options
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let size = 0
    let headers: IncomingHttpHeaders | undefined
    let problem: Error | undefined
    let stopped = false
    let full = false
    const stop = () => {
      stopped = true
      // closed before there is a connection it would be written on it all the same, and only then be over
      if (stream.pending) stream.destroy()
      else stream.close(constants.NGHTTP2_CANCEL)
    }
    const deadline = startDeadline(stop, options.timeoutMs)
    if (signal.aborted) stop()
    else aborts.add(signal, stop)
    stream.on('response', (answered) => {
      headers = answered
    })
    stream.on('data', (part: Buffer) => {
      if (full) return
      parts.push(part.subarray(0, options.maxAnswerBytes - size))
      size += part.length
      if (size <= options.maxAnswerBytes) return
      full = true
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('error', (error) => {
      problem = error
    })
    stream.on('close', () => {
      deadline.clear()
      aborts.remove(signal, stop)
      const status = Number(headers?.[':status'] ?? 0)
      // that it was taken stands in the status; only what else it says may be missing
      const isTaken = status >= 200 && status < 300
      if (headers && status > 0 && (isTaken || full || stream.readableEnded)) {
        const text = parts.length === 0 ? '' : Buffer.concat(parts).toString('utf8')
        resolve({ kind: 'answer', status, headers, text })
        return
      }
      const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      // Without an id it never became a stream of the session.
      if (refused || stream.id === undefined) {
        const code = codeOf(problem)
        resolve({
          kind: 'not-sent',
          reason: refused ? 'REFUSED_STREAM' : (code ?? 'CONNECTION_FAILED'),
          refused: code === 'EGRESS_REFUSED',
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
