import { type FrameMessage, returnedFrame, STREAMS } from '@carillon/contracts'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import { type Database, deleteOutbox, insertOutbox, returnSnoozed, type Tx } from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import type { DispatchEvents } from './events.js'
import type { DueWork } from './waker.js'

export interface DueSnoozedDeps {
  database: Database
  publishFrames(messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  events: DispatchEvents
  failpoint: Failpoint
}

const BATCH = 500

/**
 * Brings notifications back that were put off until now. Their frames are written along with the change and published
 * after it; those of a waker that dies in between are relayed from the outbox, under the same message id.
 */
export function createOnDueSnoozed(deps: DueSnoozedDeps): DueWork {
  return {
    kind: 'snoozed',
    async run() {
      const { frames, ids } = await deps.database.inTransaction(bringBack)
      deps.failpoint('dispatcher.after-return')
      if (frames.length > 0) {
        const outcomes = await deps.publishFrames(frames)
        const done = ids.filter((_, place) => outcomes[place]?.ok === true)
        if (done.length > 0) await deps.database.inTransaction((tx) => deleteOutbox(tx, done))
        deps.events.woken('snoozed', frames.length)
      }
      return { more: frames.length === BATCH }
    },
  }
}

/** The frames to publish, each with the id of its row in the outbox. */
async function bringBack(tx: Tx): Promise<{ frames: FrameMessage[]; ids: number[] }> {
  const returned = await returnSnoozed(tx, BATCH)
  const frames: FrameMessage[] = []
  const ids: number[] = []
  for (const tenant of new Set(returned.map((row) => row.tenant))) {
    const told = returned.filter((row) => row.tenant === tenant).map((row) => returnedFrame(row, row))
    ids.push(
      ...(await insertOutbox(
        tx,
        tenant,
        told.map((frame) => ({ stream: STREAMS.live, ...frame })),
      )),
    )
    frames.push(...told)
  }
  return { frames, ids }
}
