import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { ContractError, decodeFanoutChunk, type FanoutChunk } from '@carillon/contracts'
import { DONE, dead, type Outcome, type Received, retryAfter } from '@carillon/jetstream'
import { type Database, finishFanout, markRefused, wakeAwaiting, whenThere } from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import type { DispatchEvents } from '../events.js'
import { type Publishing, publishStored } from '../publish-stored.js'
import type { Room } from './room.js'
import { type TellDeps, type Told, tellChunk } from './tell-chunk.js'

export interface OnChunksDeps {
  database: Database
  tell: TellDeps
  room: Room
  publishing: Publishing
  events: DispatchEvents
  failpoint: Failpoint
  refusedAgainMs: number
  /** Ends the waiting for room when the process stops. */
  stopping: AbortSignal
}

/** How long a chunk whose frames found no broker waits before the pass is repeated. */
const AGAIN_MS = 1_000
/** How often a broadcast that holds still looks for room. */
const LOOK_MS = 250

/**
 * Handles chunks of large audiences one after another: tell and commit → publish from the committed rows →
 * acknowledge. Between two chunks everything else gets its turn.
 */
export function createOnChunks(
  deps: OnChunksDeps,
): (batch: readonly Received[], signal: AbortSignal) => Promise<Outcome[]> {
  return async (batch, signal) => {
    const outcomes: Outcome[] = []
    for (const message of batch) {
      outcomes.push(await handle(message, deps, AbortSignal.any([signal, deps.stopping])))
      await setImmediate()
    }
    return outcomes
  }
}

async function handle(message: Received, deps: OnChunksDeps, signal: AbortSignal): Promise<Outcome> {
  const chunk = decodeOrBury(message)
  if ('kind' in chunk) return chunk
  const began = performance.now()
  const told = await tell(chunk, deps, signal)
  if (told.kind === 'full') return retryAfter(AGAIN_MS)
  if (told.kind === 'lost') return told.first ? dead(`fan-out of "${chunk.workflow}": ${told.reason}`) : DONE
  deps.failpoint('dispatcher.after-chunk')
  const key = { eventId: chunk.eventId, workflowKey: chunk.workflow }
  const failed = await publish(told, deps)
  deps.failpoint('dispatcher.after-chunk-publish')
  if (failed !== undefined) {
    deps.events.postponed(failed, 1)
    return retryAfter(AGAIN_MS)
  }
  const finished = await deps.database.inTransaction((tx) => finishFanout(tx, key))
  deps.events.chunkTold({
    runs: told.runs.length,
    deliveries: told.deliveries.length,
    finished,
    ms: performance.now() - began,
  })
  // what an event lacks is mostly lacking for everybody: one dead letter says it, the runs say it each
  return told.problem !== undefined && chunk.chunk === 0 ? dead(told.problem) : DONE
}

/** Waits for room as long as it takes: a chunk that came again and again would end as a dead letter. */
async function tell(chunk: FanoutChunk, deps: OnChunksDeps, signal: AbortSignal): Promise<Told> {
  for (;;) {
    const told = await whenThere(() =>
      deps.database.inTransaction((tx) => tellChunk(tx, chunk, { ...deps.tell, hasRoom: deps.room.has })),
    )
    if (told.kind === 'told') await deps.room.look(told.lane, told.channels)
    if (told.kind !== 'full' || signal.aborted) return told
    await sleep(LOOK_MS, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
    await deps.room.look(told.lane, told.channels)
  }
}

function decodeOrBury(message: Received): FanoutChunk | Outcome {
  try {
    return decodeFanoutChunk(message.body)
  } catch (error) {
    if (error instanceof ContractError) return dead(`${error.code}: ${error.message}`)
    throw error
  }
}

/** Gives why the pass has to be repeated, or undefined. Jobs without room stay rows and repeat nothing. */
async function publish(
  told: Extract<Told, { kind: 'told' }>,
  deps: OnChunksDeps,
): Promise<string | undefined> {
  const { awaiting } = told
  if (awaiting.length > 0)
    await whenThere(() =>
      deps.database.inTransaction((tx) => wakeAwaiting(tx, { events: [], runs: awaiting })),
    )
  const nowMs = deps.tell.now()
  const published = await publishStored(told, deps.publishing, { nowMs, bornMs: () => told.writtenAtMs })
  for (const [stream, count] of published.refusedByStream) deps.events.refused(stream, count)
  if (published.refused.length > 0) {
    await deps.database.inTransaction((tx) => markRefused(tx, published.refused, deps.refusedAgainMs))
  }
  return published.framesFailed
}
