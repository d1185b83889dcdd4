import type { TLSSocket } from 'node:tls'
import { createAbortCallbacks } from '../abort-callbacks.js'
import type { HttpOutcome } from '../egress/post.js'
import type { Timeouts } from '../settings.js'
import { createWaitingRoom } from '../waiting-room.js'
import { exchange } from './exchange.js'
import { createLines, type Line, type LinesOptions } from './lines.js'

export interface WireOptions extends Pick<LinesOptions, 'streamsUnasked' | 'onOtherProtocol'> {
  /** Host, and port if it is not 443. */
  authority: string
  dial(): TLSSocket
  timeouts: Timeouts
  /** Bytes of an answer that are read. */
  maxAnswerBytes: number
}

export interface WireRequest {
  path: string
  headers: Record<string, string>
  body: string | Buffer
  signal: AbortSignal
}

/**
 * POST requests to one provider over connections that are kept. Every request settles within `requestMs` of being
 * written, never throws and is never repeated; what finds no room waits before its time begins.
 */
export interface Wire extends AsyncDisposable {
  request(request: WireRequest): Promise<HttpOutcome>
  /** Takes nothing more: what waits for room is not sent, and what is under way ends as it ends. */
  retire(): void
  /** True while no connection is open. */
  isEmpty(): boolean
}

export function createWire(options: WireOptions): Wire {
  const { authority, timeouts, maxAnswerBytes } = options
  const lines = createLines({
    ...options,
    origin: `https://${authority}`,
    connectMs: timeouts.connectMs,
    onRoom: () => room.serve(),
  })
  const room = createWaitingRoom(() => lines.take())
  const aborts = createAbortCallbacks()
  const { requestMs } = timeouts

  const ask = async (line: Line, request: WireRequest): Promise<HttpOutcome> => {
    const askedAt = Date.now()
    try {
      const stream = line.session.request({
        ':method': 'POST',
        ':path': request.path,
        ':scheme': 'https',
        ':authority': authority,
        ...request.headers,
      })
      const { body, signal } = request
      const outcome = await exchange(stream, { body, signal, timeoutMs: requestMs, maxAnswerBytes, aborts })
      if (outcome.kind === 'answer') line.answeredAt = Date.now()
      // Nothing came back on the whole line since: it may be dead without a FIN, and so may idle ones beside it.
      else if (outcome.kind === 'no-answer' && outcome.reason === 'TIMEOUT' && line.answeredAt < askedAt) {
        lines.abandon(askedAt)
      }
      return outcome
    } catch {
      return { kind: 'not-sent', reason: 'SESSION_CLOSED', refused: false }
    }
  }

  return {
    async request(request) {
      const line = await room.enter(request.signal)
      if (!line) return { kind: 'not-sent', reason: 'NOT_SENT', refused: false }
      try {
        return await ask(line, request)
      } finally {
        lines.release(line)
        room.serve()
      }
    },
    retire() {
      room.close()
      lines.retire()
    },
    isEmpty: () => lines.isEmpty(),
    async [Symbol.asyncDispose]() {
      room.close()
      await lines[Symbol.asyncDispose]()
    },
  }
}
