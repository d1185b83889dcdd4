import {
  type ExplainedDelivery,
  type ExplainInput,
  type Explanation,
  explain,
  stepNames,
} from '@carillon/decisions'
import {
  type AttemptRecord,
  attemptsOf,
  type DeliveryRecord,
  deliveriesOf,
  type EventRecord,
  type ReceiptRecord,
  type RunRecord,
  receiptsOf,
  runsById,
  type Tx,
} from '@carillon/postgres'
import { deadLetterId } from './dead-letter-id.js'
import {
  awaitedNow,
  cancelledBy,
  cancelsOf,
  eventsOf,
  isDigest,
  itemsOf,
  passesOf,
  versionName,
  versionsOf,
  wokenBy,
} from './explained-facts.js'

const iso = (moment: Date | null): string | null => moment?.toISOString() ?? null
const ms = (moment: Date | null): number | null => moment?.getTime() ?? null

/** A run without its plan and texts. */
export function runSummary(run: RunRecord): Record<string, unknown> {
  return {
    id: run.id,
    eventId: run.eventId,
    workflow: run.workflowKey,
    version: run.workflowVersion,
    recipient: run.recipient,
    state: run.state,
    reason: run.reason,
    lane: run.lane,
    category: run.category,
    inInbox: run.inInbox,
    wakeAt: iso(run.wakeAt),
    expiresAt: iso(run.expiresAt),
    createdAt: run.createdAt.toISOString(),
    seenAt: iso(run.seenAt),
    readAt: iso(run.readAt),
    archivedAt: iso(run.archivedAt),
    snoozedUntil: iso(run.snoozedUntil),
    removedAt: iso(run.removedAt),
  }
}

/** Where one delivery of a notification stands. Mailboxes are shown; tokens of devices never are. */
export function deliverySummary(delivery: DeliveryRecord): Record<string, unknown> {
  return {
    id: delivery.id,
    purpose: delivery.purpose,
    channel: delivery.channel,
    step: delivery.step,
    address: addressOf(delivery),
    provider: delivery.provider,
    status: delivery.status,
    reason: delivery.reason,
    detail: delivery.detail,
    attempts: delivery.attemptNo,
    maxAttempts: delivery.maxAttempts,
    sentAt: iso(delivery.sentAt),
    deliveredAt: iso(delivery.deliveredAt),
    openedAt: iso(delivery.openedAt),
    clickedAt: iso(delivery.clickedAt),
    unknowns: delivery.unknowns,
    replays: delivery.replays,
    replayedAt: iso(delivery.replayedAt),
    ...(delivery.status === 'failed' && delivery.purpose === 'notify'
      ? { deadLetter: deadLetterId(delivery) }
      : {}),
    updatedAt: delivery.updatedAt.toISOString(),
  }
}

function addressOf(delivery: DeliveryRecord): string {
  return delivery.addressKind === 'device' ? (delivery.device ?? 'a device that is gone') : delivery.address
}

export type ExplainedRun = Record<string, unknown> & { id: string } & Explanation

/** A digest may go into another one; a story follows it so often. */
const MOST_DIGESTS_DEEP = 3

/**
 * The stories of some runs; `event` is read when it isn't given. `asPerson`: for somebody's own eyes, without who
 * cancelled. `withinEvent`: as parts of the story of their event.
 */
export async function explainRuns(
  tx: Tx,
  of: {
    tenant: string
    event?: EventRecord | undefined
    runs: readonly RunRecord[]
    asPerson?: boolean
    withinEvent?: boolean
    depth?: number
  },
): Promise<ExplainedRun[]> {
  const { tenant, runs, depth = 0 } = of
  if (runs.length === 0) return []
  const ids = { tenant, ids: runs.map((run) => run.id) }
  const events = await eventsOf(tx, { tenant, runs, given: of.event })
  const versions = await versionsOf(tx, { tenant, of: runs.map(versionOf) })
  const deliveries = await deliveriesOf(tx, ids)
  const attempts = await attemptsOf(tx, ids)
  const receipts = await receiptsOf(tx, ids)
  const awaited = await awaitedNow(tx, { tenant, runs })
  const woken = await wokenBy(tx, { tenant, runs, events, versions })
  const items = await itemsOf(tx, { tenant, digests: runs.filter(isDigest), versions })
  const timed = runs.map((run) => ({ ...run, time: events.get(run.eventId)?.time ?? null }))
  const cancels = await cancelsOf(tx, { tenant, runs: timed })
  const digestIds = new Set(runs.flatMap(({ digestId }) => (digestId === null ? [] : [digestId])))
  const digestRuns = depth < MOST_DIGESTS_DEEP ? await runsById(tx, { tenant, ids: [...digestIds] }) : []
  const { event: _event, withinEvent: _within, ...rest } = of
  const digests = new Map(
    (await explainRuns(tx, { ...rest, runs: digestRuns, depth: depth + 1 })).map((story) => [
      story.id,
      story,
    ]),
  )
  const stories: ExplainedRun[] = []
  for (const run of runs) {
    const own = deliveries.filter((delivery) => delivery.runId === run.id)
    const input = explainInput(run, events.get(run.eventId), { deliveries: own, attempts, receipts })
    const version = versions.get(versionName(versionOf(run)))
    if (version !== undefined) input.stepNames = stepNames(version)
    if (of.withinEvent === true) input.withinEvent = true
    setFound(input, { awaits: awaited.get(run.id), woken: woken.get(run.id), gathered: items.get(run.id) })
    const cancelled = cancels.get(run.id)
    if (cancelled !== undefined) {
      const who = { tenant, workflowKey: run.workflowKey, cancelled }
      const by = of.asPerson === true ? undefined : await cancelledBy(tx, who)
      input.cancelled = by === undefined ? cancelled : { ...cancelled, by }
    }
    const digest = digests.get(run.digestId ?? '')
    if (digest !== undefined) input.digest = { id: digest.id, story: digest }
    stories.push({
      ...runSummary(run),
      id: run.id,
      ...explain(input),
      deliveries: own.map(deliverySummary),
      ...(input.gathered === undefined ? {} : { gathered: input.gathered }),
      ...(digest === undefined ? {} : { digest }),
    })
  }
  return stories
}

const versionOf = (run: RunRecord) => ({ key: run.workflowKey, version: run.workflowVersion })

function setFound(
  input: ExplainInput,
  found: { [Name in 'awaits' | 'woken' | 'gathered']: ExplainInput[Name] | undefined },
): void {
  if (found.awaits !== undefined) input.awaits = found.awaits
  if (found.woken !== undefined) input.woken = found.woken
  if (found.gathered !== undefined) input.gathered = found.gathered
}

function explainInput(
  run: RunRecord,
  event: EventRecord | undefined,
  facts: { deliveries: DeliveryRecord[]; attempts: AttemptRecord[]; receipts: ReceiptRecord[] },
): ExplainInput {
  return {
    event: {
      type: event?.type ?? 'an event that is kept no more',
      id: event?.eventId ?? run.eventId,
      source: event?.source ?? 'unknown',
      seenAt: (event?.firstSeen ?? run.createdAt).getTime(),
    },
    workflow: { key: run.workflowKey, version: run.workflowVersion },
    recipient: run.recipient,
    state: run.state,
    reason: run.reason,
    passes: passesOf(run),
    deliveries: facts.deliveries.map((delivery) => explainedDelivery(delivery, facts)),
    seenAt: ms(run.seenAt),
    readAt: ms(run.readAt),
    wakeAt: ms(run.wakeAt),
  }
}

function explainedDelivery(
  delivery: DeliveryRecord,
  facts: { attempts: AttemptRecord[]; receipts: ReceiptRecord[] },
): ExplainedDelivery {
  return {
    id: delivery.id,
    clears: delivery.purpose === 'clear',
    channel: delivery.channel,
    step: delivery.step,
    address: addressOf(delivery),
    status: delivery.status,
    reason: delivery.reason,
    detail: delivery.detail,
    attempts: facts.attempts
      .filter((attempt) => attempt.deliveryId === delivery.id)
      .map((attempt) => ({
        number: attempt.attemptNo,
        provider: attempt.provider,
        verdict: attempt.verdict,
        reason: attempt.reason,
        at: attempt.startedAt.getTime(),
      })),
    receipts: facts.receipts
      .filter((receipt) => receipt.deliveryId === delivery.id)
      .map((receipt) => ({ status: receipt.status, at: receipt.at.getTime(), by: receipt.by })),
    unknowns: delivery.unknowns,
    replays: delivery.replays,
    replayedAt: ms(delivery.replayedAt),
    nextAttemptAt: delivery.status === 'retrying' ? ms(delivery.dueAt) : null,
  }
}
