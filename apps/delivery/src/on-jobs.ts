import { setMaxListeners } from 'node:events'
import {
  ContractError,
  type DeliveryChannel,
  decodeJob,
  type Job,
  parseJobSubject,
  STREAMS,
} from '@carillon/contracts'
import {
  DONE,
  dead,
  type Outcome,
  type OutgoingMessage,
  type PublishOutcome,
  type Received,
  retryAfter,
} from '@carillon/jetstream'
import {
  bookPaces,
  type ClaimedDelivery,
  claimDeliveries,
  DatabaseAway,
  type EndedDelivery,
  loadEnded,
  whenThere,
} from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import { type AccountDeps, readAccounts } from './accounts.js'
import { type Closed, type ClosingDeps, startClosing } from './close-attempts.js'
import { receiptOf, receiptOfEnded } from './receipts.js'
import { type Judged, sendClaimed } from './send-claimed.js'

export interface OnJobsDeps extends ClosingDeps {
  accounts: AccountDeps
  publishReceipts(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  failpoint: Failpoint
  receiptKey: Buffer
  publicUrl: string | undefined
  /** Sets the clock behind `now` by the database's. */
  heard(moment: Date): void
}

interface PlacedJob {
  place: number
  tenant: string
  job: Job
  redelivered: boolean
}

/** How long jobs whose receipts found no broker wait before the pass is repeated. */
const AGAIN_MS = 1_000

/**
 * Handles a batch of jobs of one channel: claim the rows → send, closing rows as verdicts come in → publish receipts →
 * acknowledge. A job is only a hint: a row that is not claimable was sent, withdrawn, taken by somebody else or is not
 * due yet, and the job is done.
 */
export function createOnJobs(
  channel: DeliveryChannel,
  deps: OnJobsDeps,
): (batch: readonly Received[], signal: AbortSignal) => Promise<Outcome[]> {
  return async (batch, signal) => {
    const began = performance.now()
    const outcomes: Outcome[] = batch.map(() => DONE)
    const jobs: PlacedJob[] = []
    batch.forEach((message, place) => {
      try {
        const { tenant } = parseJobSubject(message.subject)
        jobs.push({ place, tenant, job: decodeJob(message.body), redelivered: message.deliveries > 1 })
      } catch (error) {
        if (!(error instanceof ContractError)) throw error
        outcomes[place] = dead(`${error.code}: ${error.message}`)
      }
    })
    if (jobs.length === 0) return outcomes
    const claimed = await whenThere(() =>
      deps.database.inTransaction((tx) =>
        claimDeliveries(
          tx,
          jobs.map(({ job }) => ({ runId: job.runId, id: job.deliveryId })),
          { leaseMs: deps.leaseMs },
        ),
      ),
    )
    if (claimed[0] !== undefined) deps.heard(claimed[0].claimedAt)
    deps.failpoint('delivery.after-claim')
    const sending = claimed.filter((delivery) => delivery.status === 'sending')
    const repeated = sending.filter((delivery) => delivery.unknowns > 0)
    if (repeated.length > 0) deps.events.repeated(channel, repeated.length)
    // every slice of the batch listens
    setMaxListeners(0, signal)
    const judged: Judged[] = []
    const closing = startClosing(began, deps, signal)
    const tell = (some: readonly Judged[]) => {
      judged.push(...some)
      closing.add(some)
    }
    await send(channel, sending, deps, tell, signal)
    deps.failpoint('delivery.after-send')
    const closed = await closing.end()
    deps.failpoint('delivery.after-close')
    const { told, ended } = await tellReceipts({ claimed, judged, closed, jobs }, deps)
    if (told) buryFailed(outcomes, jobs, { closed, ended })
    deps.events.attempted(
      channel,
      closed.map((entry) => entry.attempt),
      performance.now() - began,
    )
    return told
      ? outcomes
      : outcomes.map((outcome) => (outcome.kind === 'done' ? retryAfter(AGAIN_MS) : outcome))
  }
}

async function send(
  channel: DeliveryChannel,
  sending: readonly ClaimedDelivery[],
  deps: OnJobsDeps,
  tell: (judged: readonly Judged[]) => void,
  signal: AbortSignal,
): Promise<void> {
  if (sending.length === 0) return
  const accounts = await whenThere(() =>
    readAccounts(
      sending.map((delivery) => delivery.tenant),
      { channel, connections: sending[0]?.lane === 'high' ? 'urgent' : 'shared' },
      deps.accounts,
    ),
  )
  await sendClaimed(
    sending,
    {
      accounts,
      circuits: deps.circuits,
      book: (bookings) =>
        bookPaces(deps.database, bookings).catch((error: unknown) => {
          if (!(error instanceof DatabaseAway)) throw error
          // to send a little too fast is better than to leave claimed rows of unknown outcome behind
          deps.events.failed('pace', error)
          return bookings.map(() => 0)
        }),
      receiptKey: deps.receiptKey,
      publicUrl: deps.publicUrl,
      nowMs: deps.now(),
    },
    tell,
    signal,
  )
}

/**
 * Tells what ended in this pass and, for jobs that come again, what an earlier pass ended without getting to tell it:
 * that is given as `ended`. `told` is false when the broker didn't take it all.
 */
async function tellReceipts(
  pass: {
    claimed: readonly ClaimedDelivery[]
    judged: readonly Judged[]
    closed: readonly Closed[]
    jobs: readonly PlacedJob[]
  },
  deps: OnJobsDeps,
): Promise<{ told: boolean; ended: EndedDelivery[] }> {
  const { claimed, judged, closed, jobs } = pass
  const nowMs = deps.now()
  const messages = closed.map(({ delivery, attempt }) =>
    // to take something off a screen is nothing that anybody was told
    delivery.purpose === 'clear' ? undefined : receiptOf(delivery, attempt, nowMs),
  )
  const touched = new Set(claimed.map((delivery) => delivery.id))
  const written = new Set(closed.map(({ delivery }) => delivery.id))
  const earlier = [
    // closed by a commit whose answer was lost, or by somebody else
    ...judged.flatMap(({ delivery }) => (written.has(delivery.id) ? [] : [delivery])),
    ...claimed.filter((delivery) => delivery.status !== 'sending'),
    ...jobs.flatMap(({ job, redelivered }) =>
      redelivered && !touched.has(job.deliveryId) ? [{ runId: job.runId, id: job.deliveryId }] : [],
    ),
  ]
  const ended = earlier.length === 0 ? [] : await whenThere(() => loadEnded(deps.database, earlier))
  messages.push(...ended.map(receiptOfEnded))
  const wanted = messages.filter((message) => message !== undefined)
  if (wanted.length === 0) return { told: true, ended }
  const outcomes = await deps.publishReceipts(STREAMS.receipts, wanted)
  return { told: outcomes.every((outcome) => outcome.ok), ended }
}

/** A notification that can't be brought any more leaves its job as a dead letter with the reason. */
function buryFailed(
  outcomes: Outcome[],
  jobs: readonly PlacedJob[],
  { closed, ended }: { closed: readonly Closed[]; ended: readonly EndedDelivery[] },
): void {
  const failed = new Map<string, string>()
  for (const { attempt, delivery } of closed) {
    if (delivery.purpose === 'clear') continue
    if (attempt.status === 'failed' && attempt.reason !== 'ADDRESS_INVALID') {
      failed.set(attempt.id, `${attempt.reason}: ${attempt.detail ?? 'the provider refused it'}`)
    }
  }
  for (const { id, status, reason } of ended) {
    if (status === 'failed' && reason !== 'ADDRESS_INVALID')
      failed.set(id, `${reason}: all attempts are used up`)
  }
  for (const { place, job } of jobs) {
    const reason = failed.get(job.deliveryId)
    if (reason !== undefined) outcomes[place] = dead(reason)
  }
}
