import { fanoutDurable, LANES, STREAMS } from '@carillon/contracts'
import { type Connection, type Consumption, consume, PATIENT } from '@carillon/jetstream'
import type { DueWork } from '../waker.js'
import { createOnChunks, type OnChunksDeps } from './on-chunks.js'
import { createOnDueFanouts, type DueFanoutsDeps } from './on-due-fanouts.js'
import { createRoom } from './room.js'

export type FanOutDeps = Omit<OnChunksDeps, 'stopping' | 'room'> &
  Pick<DueFanoutsDeps, 'unhandled' | 'respoolAfterMs'> & {
    connection: Connection
    onDead(message: { subject: string }, reason: string): void
  }

/** Everything of the dispatcher that tells large audiences. */
export interface FanOut {
  consumptions: Consumption[]
  due: DueWork
  /** Before draining: a chunk that waits for room gives up waiting. */
  stop(): void
}

/**
 * Chunks handed over together in each lane; two batches are handled at a time, so that one commits while the other
 * publishes. Small, so that everything else gets its turn and other dispatchers their share.
 */
const BATCH = 2

export function startFanOut({ connection, onDead, ...deps }: FanOutDeps): FanOut {
  const stopping = new AbortController()
  const room = createRoom({ unhandled: deps.unhandled, now: deps.tell.now })
  const onChunks = createOnChunks({ ...deps, room, stopping: stopping.signal })
  return {
    consumptions: LANES.map((lane) =>
      consume(
        connection,
        {
          stream: STREAMS.jobsFanout,
          durable: fanoutDurable(lane),
          batch: BATCH,
          concurrency: 2,
          ...PATIENT,
        },
        onChunks,
        {
          onFailure: (error) => deps.events.failed('chunks', error),
          onMissing: (error) => deps.events.failed('topology', error),
          onDead,
        },
      ),
    ),
    due: createOnDueFanouts({ ...deps, publish: deps.publishing.publishJobs }),
    stop: () => stopping.abort(),
  }
}
