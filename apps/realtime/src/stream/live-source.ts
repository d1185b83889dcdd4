import { liveEpoch, STREAMS } from '@carillon/contracts'
import {
  type Connection,
  type CoreMessage,
  type CoreSubscription,
  lastOfSubject,
  readSubject,
  type StreamState,
  streamState,
  subscribeCore,
} from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { createGate } from './gate.js'
import type { StreamHead } from './recovery.js'
import { sharedQuestion } from './shared-question.js'

/** A stored frame as the stream gives it back. */
export interface StoredBody {
  sequence: number
  body: Uint8Array
  headers: ReadonlyMap<string, string>
}

/** What channels need of the stream behind them. Live messages may be lost, reads may be late; neither is silent. */
export interface LiveSource {
  readonly connected: boolean
  /** Live messages of a subject from when `flush` has resolved; at most once. */
  subscribe(subject: string, onMessage: (message: CoreMessage) => void): CoreSubscription
  flush(): Promise<void>
  /** Messages of a stored subject from a sequence on, in order, at most `limit`. */
  read(subject: string, fromSequence: number, limit: number): Promise<StoredBody[]>
  /** Sequence of a stored subject's newest message, 0 when it has none. */
  last(subject: string): Promise<number>
  head(): Promise<StreamHead>
  /** Calls back after every reconnection; returns the way to stop. */
  onReconnect(listener: () => void): () => void
}

/**
 * LIVE as channels see it. Reads use `recovery`, a connection of their own, at most `concurrency` at a time, so that
 * a storm of resuming clients does not stand in the way of live messages.
 */
export function createLiveSource(
  connection: Connection,
  recovery: Connection,
  options: { concurrency: number },
): LiveSource {
  const gate = createGate(options.concurrency)
  const stream = STREAMS.live
  // thousands that come back at once need no head each
  const head = sharedQuestion(createHeadReader(recovery))
  const flush = sharedQuestion(() => connection.flush())
  return {
    get connected() {
      return connection.connected && recovery.connected
    },
    subscribe: (subject, onMessage) => subscribeCore(connection, subject, onMessage),
    flush,
    read: (subject, fromSequence, limit) =>
      gate(() => readSubject(recovery, { stream, subject, fromSequence, limit })),
    last: (subject) => gate(async () => (await lastOfSubject(recovery, stream, subject))?.sequence ?? 0),
    head,
    onReconnect(listener) {
      const stops = [connection.onReconnect(listener), recovery.onReconnect(listener)]
      return () => {
        for (const stop of stops) stop()
      }
    },
  }
}

/** From here on a stream that is full again and again may have been so since the last look. */
const NEARLY_FULL = 0.5

/**
 * The head and the epoch. LIVE doesn't sync its writes, so after an unclean stop of its server the last sequences may
 * be given out again under an unchanged creation time: every run of the server is an epoch of its own.
 */
function createHeadReader(recovery: Connection): () => Promise<StreamHead> {
  let readAt = performance.now()
  return async () => {
    for (;;) {
      const run = recovery.serverId
      const state = await streamState(recovery, STREAMS.live)
      // an answer of one run must not be taken for another's
      if (recovery.serverId !== run) continue
      const now = performance.now()
      const sinceMs = now - readAt
      readAt = now
      return {
        epoch: liveEpoch(sha256, state),
        firstSequence: state.firstSequence,
        lastSequence: state.lastSequence,
        maxPerSubject: state.maxPerSubject,
        shrinks: mayShrink(state, sinceMs),
      }
    }
  }
}

/** A stream gives up old messages near its limit of bytes, when they are too old, and when it is emptied by hand. */
function mayShrink(state: StreamState, sinceMs: number): boolean {
  if (state.maxBytes > 0 && state.bytes >= state.maxBytes * NEARLY_FULL) return true
  if (state.maxAgeMs > 0 && sinceMs >= state.maxAgeMs / 2) return true
  return state.messages === 0 && state.lastSequence > 0
}
