import { type AbortCallbacks, createAbortCallbacks } from '../abort-callbacks.js'
import { exchange } from './exchange.js'
import { createLines, FCM_HOST, type Line, type LinesOptions } from './lines.js'
import type { FcmAnswer } from './verdict.js'

export interface WireRequest {
  path: string
  headers: Record<string, string>
  body: string
  signal: AbortSignal
}

/**
 * Requests to FCM over connections that are kept: the SDK opens a new one per batch, with a malformed `:scheme`, and
 * waits for ever when the peer goes away. Every request here settles within `requestMs` of being written; what finds
 * no room waits before its time begins.
 */
export interface Wire extends AsyncDisposable {
  request(request: WireRequest): Promise<FcmAnswer>
}

export function createWire(options: LinesOptions): Wire {
  const lines = createLines(options)
  const aborts: AbortCallbacks = createAbortCallbacks()
  const waiting = new Set<(line: Line | undefined) => void>()
  const { requestMs } = options.timeouts
  let closed = false

  const room = (signal: AbortSignal): Line | undefined | Promise<Line | undefined> => {
    const line = waiting.size === 0 ? lines.take() : undefined
    if (line) return line
    return new Promise((resolve) => {
      const give = (given: Line | undefined) => {
        waiting.delete(give)
        aborts.remove(signal, leave)
        resolve(given)
      }
      const leave = () => give(undefined)
      waiting.add(give)
      aborts.add(signal, leave)
    })
  }
  const release = (line: Line) => {
    lines.release(line)
    for (const give of waiting) {
      const free = lines.take()
      if (!free) return
      give(free)
    }
  }

  const ask = async (line: Line, request: WireRequest): Promise<FcmAnswer> => {
    const askedAt = Date.now()
    try {
      const stream = line.session.request({
        ':method': 'POST',
        ':path': request.path,
        ':scheme': 'https',
        ':authority': FCM_HOST,
        'content-type': 'application/json',
        ...request.headers,
      })
      const { body, signal } = request
      const answer = await exchange(stream, { body, signal, timeoutMs: requestMs, aborts })
      if (answer.kind === 'answer') line.answeredAt = Date.now()
      // Nothing came back on the whole line since: it may be dead without a FIN, so others get a new one.
      else if (answer.reason === 'TIMEOUT' && line.answeredAt < askedAt) line.session.close()
      return answer
    } catch {
      return { kind: 'not-sent', reason: 'SESSION_CLOSED' }
    }
  }

  return {
    async request(request) {
      if (closed || request.signal.aborted)
        return { kind: 'not-sent', reason: closed ? 'CLOSED' : 'NOT_SENT' }
      const line = await room(request.signal)
      if (!line) return { kind: 'not-sent', reason: 'NOT_SENT' }
      try {
        return await ask(line, request)
      } finally {
        release(line)
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true
      for (const give of waiting) give(undefined)
      await lines[Symbol.asyncDispose]()
    },
  }
}
