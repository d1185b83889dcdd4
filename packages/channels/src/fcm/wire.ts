import { createAbortCallbacks } from '../abort-callbacks.js'
import { createWaitingRoom } from '../waiting-room.js'
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
  const room = createWaitingRoom(() => lines.take())
  const aborts = createAbortCallbacks()
  const { requestMs } = options.timeouts

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
      // Nothing came back on the whole line since: it may be dead without a FIN, and so may idle ones beside it.
      else if (answer.reason === 'TIMEOUT' && line.answeredAt < askedAt) lines.abandon(askedAt)
      return answer
    } catch {
      return { kind: 'not-sent', reason: 'SESSION_CLOSED' }
    }
  }

  return {
    async request(request) {
      const line = await room.enter(request.signal)
      if (!line) return { kind: 'not-sent', reason: 'NOT_SENT' }
      try {
        return await ask(line, request)
      } finally {
        lines.release(line)
        room.serve()
      }
    },
    async [Symbol.asyncDispose]() {
      room.close()
      await lines[Symbol.asyncDispose]()
    },
  }
}
