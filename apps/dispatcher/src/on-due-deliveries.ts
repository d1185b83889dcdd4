import {
  deliveryDurable,
  jobStream,
  LANES,
  type Lane,
  type Receipt,
  receiptSubject,
  STREAMS,
} from '@carillon/contracts'
import type { OutgoingMessage, PublishOutcome } from '@carillon/jetstream'
import {
  claimDueDeliveries,
  clearRefused,
  type Database,
  type DueDelivery,
  type ExpiredDelivery,
  insertOutbox,
  markRefused,
  type Tx,
} from '@carillon/postgres'
import type { DispatchEvents } from './events.js'
import { jobMessage } from './publish-stored.js'
import type { DueWork } from './waker.js'

export interface DueDeliveriesDeps {
  database: Database
  publishJobs(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  /** Messages of a stream that a durable hasn't handled yet: waiting and in flight. */
  unhandled(stream: string, durable: string): Promise<number>
  events: DispatchEvents
  /** How long until the waker looks at the same row again. */
  respoolAfterMs: number
  refusedAgainMs: number
}

const BATCH = 500

/**
 * Brings deliveries on their way whose time has come: retries, attempts whose worker died, jobs that found no room, and
 * jobs that never came (a queue that was purged, a broker that was restored). A queued row whose job may still stand
 * in a long queue is left for later: a second job would only make the queue longer.
 */
export function createOnDueDeliveries(deps: DueDeliveriesDeps): DueWork {
  return {
    kind: 'deliveries',
    async run(signal) {
      let more = false
      for (const lane of LANES) {
        if (signal.aborted) return { more: false }
        more = (await bringLane(lane, deps)) || more
      }
      return { more }
    },
  }
}

/** True when more may be due. */
async function bringLane(lane: Lane, deps: DueDeliveriesDeps): Promise<boolean> {
  const claimed = await deps.database.inTransaction(async (tx) => {
    const taken = await claimDueDeliveries(tx, { lane, limit: BATCH, againMs: deps.respoolAfterMs })
    await tellExpired(tx, taken.expired)
    return taken
  })
  if (claimed.expired.length > 0) deps.events.expired(claimed.expired.length)
  const due = await withoutWaitingJobs(claimed.due, deps)
  if (due.length > 0) await publish(due, deps)
  return claimed.due.length + claimed.expired.length === BATCH
}

/** Their receipts wait in the outbox: what has ended is told of, whatever dies next. */
async function tellExpired(tx: Tx, expired: readonly ExpiredDelivery[]): Promise<void> {
  // to take something off a screen is nothing that anybody was told
  const told = expired.filter(({ purpose }) => purpose === 'notify')
  for (const tenant of new Set(told.map((delivery) => delivery.tenant))) {
    const own = told.filter((delivery) => delivery.tenant === tenant)
    await insertOutbox(tx, tenant, own.map(expiredReceipt))
  }
}

function expiredReceipt({ id, runId, userId, tenant, channel, attempt, at }: ExpiredDelivery) {
  const receipt: Receipt = {
    deliveryId: id,
    runId,
    userId,
    channel,
    status: 'expired',
    at: at.getTime(),
    attempt,
    by: 'worker',
    reason: 'EXPIRED',
    detail: 'it waited beyond its expiry',
  }
  return {
    stream: STREAMS.receipts,
    subject: receiptSubject(channel, 'expired', tenant),
    messageId: `${id}.expired`,
    body: JSON.stringify(receipt),
  }
}

async function withoutWaitingJobs(
  due: readonly DueDelivery[],
  deps: DueDeliveriesDeps,
): Promise<DueDelivery[]> {
  const busy = new Map<string, Promise<boolean>>()
  const wanted: DueDelivery[] = []
  for (const delivery of due) {
    if (delivery.refused) {
      wanted.push(delivery)
      continue
    }
    const durable = deliveryDurable(delivery.channel, delivery.lane)
    const answer =
      busy.get(durable) ?? deps.unhandled(jobStream(delivery.channel), durable).then((count) => count > 0)
    busy.set(durable, answer)
    if (!(await answer)) wanted.push(delivery)
  }
  return wanted
}

async function publish(due: readonly DueDelivery[], deps: DueDeliveriesDeps): Promise<void> {
  const byStream = new Map<string, DueDelivery[]>()
  for (const delivery of due) {
    const stream = jobStream(delivery.channel)
    const group = byStream.get(stream)
    if (group === undefined) byStream.set(stream, [delivery])
    else group.push(delivery)
  }
  // before their jobs are out: a worker passes over a row that somebody else holds
  const marked = due.filter((delivery) => delivery.refused)
  if (marked.length > 0) await deps.database.inTransaction((tx) => clearRefused(tx, marked))
  const refused: DueDelivery[] = []
  const accepted: DueDelivery[] = []
  await Promise.all(
    [...byStream].map(async ([stream, group]) => {
      const outcomes = await deps.publishJobs(stream, group.map(jobMessage))
      const before = refused.length
      group.forEach((delivery, index) => {
        if (outcomes[index]?.ok === true) accepted.push(delivery)
        else refused.push(delivery)
      })
      if (refused.length > before) deps.events.refused(stream, refused.length - before)
    }),
  )
  if (refused.length > 0) {
    await deps.database.inTransaction((tx) => markRefused(tx, refused, deps.refusedAgainMs))
  }
  deps.events.woken('deliveries', accepted.length)
}
