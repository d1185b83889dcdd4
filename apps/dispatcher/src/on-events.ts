import { ContractError, type DomainEvent, decodeEventMessage, STREAMS } from '@carillon/contracts'
import { DONE, dead, type Outcome, type Received, retryAfter } from '@carillon/jetstream'
import { type Database, markRefused, wakeAwaiting, wakeCancelled, whenThere } from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import { type DecideDeps, type Decided, decideBatch } from './decide-batch.js'
import type { DispatchEvents } from './events.js'
import { publishChunks } from './fan-out/plan-fan-out.js'
import { type Publishing, publishStored } from './publish-stored.js'

export interface OnEventsDeps {
  database: Database
  decide: DecideDeps
  publishing: Publishing
  events: DispatchEvents
  failpoint: Failpoint
  refusedAgainMs: number
}

/** How long events whose frames found no broker wait before the pass is repeated. */
const AGAIN_MS = 1_000

/**
 * Handles a batch of EVENTS: decode → decide and commit → publish from the committed rows → acknowledge. Whatever
 * breaks in between, the next pass finds the rows and publishes them; it never plans again.
 */
export function createOnEvents(deps: OnEventsDeps): (batch: readonly Received[]) => Promise<Outcome[]> {
  return async (batch) => {
    const began = performance.now()
    const outcomes: (Outcome | undefined)[] = batch.map(() => undefined)
    const events: DomainEvent[] = []
    const places: number[] = []
    batch.forEach((message, place) => {
      const decoded = decodeOrBury(message)
      if ('kind' in decoded) outcomes[place] = decoded
      else {
        events.push(decoded)
        places.push(place)
      }
    })
    if (events.length === 0) return outcomes as Outcome[]
    deps.failpoint('dispatcher.before-commit')
    const decided = await whenThere(() =>
      deps.database.inTransaction((tx) => decideBatch(tx, events, deps.decide)),
    )
    deps.failpoint('dispatcher.after-commit')
    const { meeting } = decided
    if (meeting.events.length + meeting.runs.length > 0)
      await whenThere(() => deps.database.inTransaction((tx) => wakeAwaiting(tx, meeting)))
    if (meeting.keyed.length > 0)
      await whenThere(() => deps.database.inTransaction((tx) => wakeCancelled(tx, meeting.keyed)))
    const failed = await publish(decided, deps)
    deps.failpoint('dispatcher.after-publish')
    events.forEach((_, index) => {
      const reason = decided.dead.get(index)
      const place = places[index] as number
      outcomes[place] =
        failed !== undefined ? retryAfter(AGAIN_MS) : reason === undefined ? DONE : dead(reason)
    })
    if (failed !== undefined) deps.events.postponed(failed, events.length)
    deps.events.dispatched({
      events: batch.length,
      repeated: decided.repeated,
      runs: decided.runs.length,
      deliveries: decided.deliveries.length,
      dead: decided.dead.size + batch.length - events.length,
      ms: performance.now() - began,
    })
    return outcomes as Outcome[]
  }
}

function decodeOrBury(message: Received): DomainEvent | Outcome {
  try {
    return decodeEventMessage(message)
  } catch (error) {
    if (error instanceof ContractError) return dead(`${error.code}: ${error.message}`)
    throw error
  }
}

/** Gives why the pass has to be repeated, or undefined. Jobs without room stay rows and repeat nothing. */
async function publish(decided: Decided, deps: OnEventsDeps): Promise<string | undefined> {
  const nowMs = deps.decide.now()
  const published = await publishStored(decided, deps.publishing, { nowMs, bornMs: (run) => run.createdAtMs })
  const chunksRefused = await publishChunks(decided.fanouts, deps.publishing.publishJobs)
  if (chunksRefused > 0) deps.events.refused(STREAMS.jobsFanout, chunksRefused)
  for (const [stream, count] of published.refusedByStream) deps.events.refused(stream, count)
  if (published.refused.length > 0) {
    await deps.database.inTransaction((tx) => markRefused(tx, published.refused, deps.refusedAgainMs))
  }
  return published.framesFailed
}
