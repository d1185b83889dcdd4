import { fanoutDurable, STREAMS } from '@carillon/contracts'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import { claimDueFanouts, type Database, finishFanout, type OpenFanout } from '@carillon/postgres'
import type { DispatchEvents } from '../events.js'
import type { DueWork } from '../waker.js'
import { publishChunks } from './plan-fan-out.js'

export interface DueFanoutsDeps {
  database: Database
  publish(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  /** Messages of a stream that a durable hasn't handled yet: waiting and in flight. */
  unhandled(stream: string, durable: string): Promise<number>
  events: DispatchEvents
  /** How long until the waker looks at the same fan-out again. */
  respoolAfterMs: number
}

const BATCH = 20

/**
 * Publishes the chunks that are missing of fan-outs that are due: a crash before publishing or a purged stream loses
 * nothing. While the lane's queue still has chunks they are left alone: theirs may be among them.
 */
export function createOnDueFanouts(deps: DueFanoutsDeps): DueWork {
  return {
    kind: 'fanouts',
    async run() {
      const due = await deps.database.inTransaction((tx) =>
        claimDueFanouts(tx, { limit: BATCH, againMs: deps.respoolAfterMs }),
      )
      for (const fanout of due) await bring(fanout, deps)
      return { more: due.length === BATCH }
    },
  }
}

async function bring(fanout: OpenFanout, deps: DueFanoutsDeps): Promise<void> {
  if (fanout.missing.length === 0) {
    await deps.database.inTransaction((tx) => finishFanout(tx, fanout))
    return
  }
  if ((await deps.unhandled(STREAMS.jobsFanout, fanoutDurable(fanout.lane))) > 0) return
  const refused = await publishChunks([fanout], deps.publish)
  if (refused > 0) deps.events.refused(STREAMS.jobsFanout, refused)
  deps.events.woken('fanouts', fanout.missing.length - refused)
}
