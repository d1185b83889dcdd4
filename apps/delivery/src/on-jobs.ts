import { setTimeout as sleep } from 'node:timers/promises'
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
  type ClaimedDelivery,
  type ClosedAttempt,
  claimDeliveries,
  closeAttempts,
  type Database,
  holdProvider,
  isTransient,
  loadEnded,
  retireDevices,
} from '@carillon/postgres'
import { type Failpoint, messageOf } from '@carillon/service'
import { type AccountDeps, readAccounts } from './accounts.js'
import type { Circuits } from './circuit.js'
import type { DeliveryEvents } from './events.js'
import { judgeVerdict } from './judge-verdict.js'
import { receiptOf, receiptOfEnded } from './receipts.js'
import { type Judged, sendClaimed } from './send-claimed.js'

export interface OnJobsDeps {
  database: Database
  accounts: AccountDeps
  circuits: Circuits
  publishReceipts(stream: string, messages: readonly OutgoingMessage[]): Promise<PublishOutcome[]>
  events: DeliveryEvents
  failpoint: Failpoint
  receiptKey: Buffer
  leaseMs: number
  retryBaseMs: number
  holdMs: number
  now: () => number
  random: () => number
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
 * Handles a batch of jobs of one channel: claim the rows → send → close the rows → publish receipts → acknowledge. A
 * job is only a hint: a row that is not claimable was sent, withdrawn or taken by somebody else, and the job is done.
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
    const claimed = await whenDatabaseIsThere(() =>
      deps.database.inTransaction((tx) =>
        claimDeliveries(
          tx,
          jobs.map(({ job }) => ({ runId: job.runId, id: job.deliveryId })),
          { leaseMs: deps.leaseMs },
        ),
      ),
    )
    deps.failpoint('delivery.after-claim')
    const sending = claimed.filter((delivery) => delivery.status === 'sending')
    const judged = await send(channel, sending, deps, signal)
    deps.failpoint('delivery.after-send')
    const closed = await closeWithinLease(judged, began, deps, signal)
    deps.failpoint('delivery.after-close')
    const told = await publishReceipts({ claimed, judged, closed, jobs }, deps)
    closeOutcomes(outcomes, jobs, closed, claimed)
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

/** The database is away: no job is to blame, and the batch is held until it is back. */
class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway'
  readonly transient = true
}

async function whenDatabaseIsThere<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isTransient(error)) throw new DatabaseAway(messageOf(error), { cause: error })
    throw error
  }
}

async function send(
  channel: DeliveryChannel,
  sending: readonly ClaimedDelivery[],
  deps: OnJobsDeps,
  signal: AbortSignal,
): Promise<Judged[]> {
  if (sending.length === 0) return []
  const accounts = await whenDatabaseIsThere(() =>
    readAccounts(
      sending.map((delivery) => delivery.tenant),
      channel,
      deps.accounts,
    ),
  )
  return sendClaimed(
    sending,
    { accounts, circuits: deps.circuits, receiptKey: deps.receiptKey, nowMs: deps.now() },
    signal,
  )
}

const CLOSE_AGAIN_MS = 100

/** What was sent is written down as long as the lease lasts: to give up sooner would ring everybody twice. */
async function closeWithinLease(
  judged: readonly Judged[],
  began: number,
  deps: OnJobsDeps,
  signal: AbortSignal,
): Promise<Closed[]> {
  for (;;) {
    try {
      return await whenDatabaseIsThere(() => close(judged, deps))
    } catch (error) {
      const over = performance.now() - began > deps.leaseMs || signal.aborted
      if (!(error instanceof DatabaseAway) || over) throw error
      await sleep(CLOSE_AGAIN_MS)
    }
  }
}

interface Closed {
  delivery: ClaimedDelivery
  attempt: ClosedAttempt
}

async function close(judged: readonly Judged[], deps: OnJobsDeps): Promise<Closed[]> {
  if (judged.length === 0) return []
  const nowMs = deps.now()
  const held = await holdBroken(judged, nowMs, deps)
  const closed = judged.map((entry) => ({
    delivery: entry.delivery,
    attempt: judgeVerdict(entry.delivery, guardMassDeath(entry, nowMs, deps), entry.provider, {
      nowMs,
      baseMs: deps.retryBaseMs,
      notBeforeMs: Math.max(entry.notBeforeMs, entry.account === null ? 0 : (held.get(entry.account) ?? 0)),
      random: deps.random,
    }),
  }))
  const written = await deps.database.inTransaction((tx) =>
    closeAttempts(
      tx,
      closed.map((entry) => entry.attempt),
    ),
  )
  await retireDead(judged, nowMs, deps)
  return closed.filter((entry) => written.has(entry.delivery.id))
}

/** Credentials that were refused are left alone for a while, and only they. */
async function holdBroken(
  judged: readonly Judged[],
  nowMs: number,
  deps: OnJobsDeps,
): Promise<Map<string, number>> {
  const held = new Map<string, number>()
  for (const { verdict, account, provider, delivery } of judged) {
    if (verdict.kind !== 'config' || account === null || held.has(account)) continue
    const untilMs = nowMs + deps.holdMs
    held.set(account, untilMs)
    await holdProvider(deps.database, {
      tenant: delivery.tenant,
      id: account,
      untilMs,
      reason: verdict.reason,
    })
    deps.events.held(provider ?? 'unknown', delivery.tenant, verdict.reason, untilMs)
  }
  return held
}

function guardMassDeath(entry: Judged, nowMs: number, deps: OnJobsDeps) {
  const { verdict, account } = entry
  if (verdict.kind !== 'address' || account === null || !deps.circuits.isMassDeath(account, nowMs))
    return verdict
  return { kind: 'config' as const, reason: `too many addresses of this app die at once (${verdict.reason})` }
}

/** Dead addresses are marked, unless they were registered after the provider's moment or too many die at once. */
async function retireDead(judged: readonly Judged[], nowMs: number, deps: OnJobsDeps): Promise<void> {
  const retired = judged.flatMap(({ verdict, delivery, account, provider }) => {
    if (verdict.kind !== 'address' || delivery.addressKind !== 'device' || account === null) return []
    if (deps.circuits.isMassDeath(account, nowMs)) {
      deps.events.massDeath(provider ?? 'unknown', delivery.tenant)
      return []
    }
    const status = verdict.suspend === true ? ('suspended' as const) : ('gone' as const)
    return [
      {
        tenant: delivery.tenant,
        id: delivery.address,
        status,
        reason: verdict.reason,
        beforeMs: verdict.at ?? nowMs,
      },
    ]
  })
  if (retired.length > 0) deps.events.retired(await retireDevices(deps.database, retired))
}

/**
 * Tells what ended in this pass and, for jobs that come again, what an earlier pass ended without getting to tell it.
 * False when the broker didn't take it all.
 */
async function publishReceipts(
  pass: {
    claimed: readonly ClaimedDelivery[]
    judged: readonly Judged[]
    closed: readonly Closed[]
    jobs: readonly PlacedJob[]
  },
  deps: OnJobsDeps,
): Promise<boolean> {
  const { claimed, judged, closed, jobs } = pass
  const nowMs = deps.now()
  const messages = closed.map(({ delivery, attempt }) => receiptOf(delivery, attempt, nowMs))
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
  if (earlier.length > 0) {
    const ended = await whenDatabaseIsThere(() => loadEnded(deps.database, earlier))
    messages.push(...ended.map(receiptOfEnded))
  }
  const wanted = messages.filter((message) => message !== undefined)
  if (wanted.length === 0) return true
  const outcomes = await deps.publishReceipts(STREAMS.receipts, wanted)
  return outcomes.every((outcome) => outcome.ok)
}

/** A delivery that can't be brought any more leaves its job as a dead letter with the reason. */
function closeOutcomes(
  outcomes: Outcome[],
  jobs: readonly PlacedJob[],
  closed: readonly Closed[],
  claimed: readonly ClaimedDelivery[],
): void {
  const failed = new Map<string, string>()
  for (const { attempt } of closed) {
    if (attempt.status === 'failed' && attempt.reason !== 'ADDRESS_INVALID') {
      failed.set(attempt.id, `${attempt.reason}: ${attempt.detail ?? 'the provider refused it'}`)
    }
  }
  for (const delivery of claimed) {
    if (delivery.status === 'failed') failed.set(delivery.id, `${delivery.reason}: all attempts are used up`)
  }
  for (const { place, job } of jobs) {
    const reason = failed.get(job.deliveryId)
    if (reason !== undefined) outcomes[place] = dead(reason)
  }
}
