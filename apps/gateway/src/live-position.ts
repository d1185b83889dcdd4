import { liveEpoch, STREAMS } from '@carillon/contracts'
import { type Connection, streamState } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import type { Position } from './edge-deps.js'
import { keepFor } from './kept.js'

/** Inbox pages read at the same moment share one question; an older position only repeats frames. */
const KEPT_MS = 50

/**
 * The head of LIVE as realtime names it: its epoch is made of the stream's creation and the server's process. Undefined
 * while the stream doesn't answer: then a client subscribes first and reads after.
 */
export function createLivePosition(
  connection: Connection,
  now: () => number,
): () => Promise<Position | undefined> {
  const kept = keepFor({
    forMs: KEPT_MS,
    max: 1,
    now,
    ask: async (stream): Promise<Position> => {
      const state = await streamState(connection, stream)
      return { epoch: liveEpoch(sha256, state), offset: state.lastSequence }
    },
  })
  return async () => {
    try {
      return await kept.get(STREAMS.live)
    } catch {
      return undefined
    }
  }
}
