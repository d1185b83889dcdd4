import { type DeliveryChannel, type DomainEvent, deliveryId } from '@carillon/contracts'
import type { Plan, WorkflowOutcome } from '@carillon/decisions'
import type { DeliveryRow, EventRow, RunRow, StoredDelivery, StoredRun } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import type { Assigned } from './assign.js'
import type { Fanout } from './fan-out/ranges.js'
import type { DigestRun } from './gathering.js'
import type { Resolved } from './recipients.js'
import type { Settling } from './settling.js'

/** Plain mapping from what was decided to rows. */

/** The event's row, with the outcome per workflow and, for those that matched, how many they told or in how many chunks. */
export function eventRow(
  entry: { event: DomainEvent; rowId: string; firstSeenMs: number; assigned: Assigned },
  told: ReadonlyMap<Assigned['assignments'][number], Resolved>,
  problem: string | undefined,
): EventRow {
  const { event, assigned } = entry
  const outcome: (WorkflowOutcome & { recipients?: number; fanout?: Fanout })[] = assigned.outcomes.map(
    (result) => {
      const assignment = assigned.assignments.find(({ workflow }) => workflow.key === result.workflow)
      if (assignment === undefined) return result
      const { recipients = [], fanout } = told.get(assignment) ?? {}
      if (fanout !== undefined) return { ...result, fanout }
      const count = recipients.length
      if (count > 0) return { ...result, recipients: count }
      const detail = assignment.recipients.problem ?? 'nobody belongs to it'
      return { ...result, recipients: 0, reason: 'NO_RECIPIENT', detail }
    },
  )
  return {
    id: entry.rowId,
    tenant: event.tenant,
    source: event.source,
    eventId: event.id,
    type: event.type,
    subject: event.subject ?? null,
    time: event.time ?? null,
    lane: event.lane,
    dataJson: event.dataJson,
    outcomeJson: JSON.stringify(problem === undefined ? outcome : [...outcome, { problem }]),
    firstSeenMs: entry.firstSeenMs,
  }
}

/** The run's row. `known`: the directory has its recipient; `createdAtMs`: when its event was first seen. */
export function runRow(run: Settling & { known: boolean }, createdAtMs: number): RunRow {
  const { plan, rules, workflow } = run
  return {
    id: run.runId,
    tenant: rules.tenant,
    eventId: run.eventRow,
    workflowKey: workflow.key,
    workflowVersion: workflow.version,
    userId: run.known ? run.userId : null,
    recipient: run.recipient,
    lane: plan.lane,
    category: plan.category,
    state: plan.state,
    reason: plan.reason ?? null,
    planJson: `[${passJson(plan)}]`,
    contentJson: contentJson(plan),
    nextStep: plan.nextStep ?? null,
    wakeAtMs: plan.wakeAt ?? null,
    inInbox: plan.inInbox,
    expiresAtMs: plan.expiresAt ?? null,
    collapseKey: plan.collapseKey ?? null,
    cancelKey: plan.cancelKey ?? null,
    wakeOnSeen: plan.wakeOnSeen === true,
    heldJson: heldJson(plan),
    resumeAtMs: plan.resumeAt ?? null,
    digestId: run.digestId,
    digestPlace: run.digestPlace,
    createdAtMs,
  }
}

/** The row of a digest that was opened: a run that waits until its window closes. */
export function digestRow({ id, first, step, key, openedAt, closesAt }: DigestRun): RunRow {
  const detail = key === '' ? 'gathers until the window closes' : `gathers "${key}" until the window closes`
  const pass = { at: openedAt, steps: [{ step, type: 'digest', outcome: 'wait', detail, at: closesAt }] }
  return {
    ...runRow({ ...first, known: true }, openedAt),
    id,
    state: 'waiting',
    reason: null,
    planJson: JSON.stringify([pass]),
    contentJson: null,
    nextStep: step + 1,
    wakeAtMs: closesAt,
    resumeAtMs: closesAt,
    inInbox: false,
    // what it sends expires after it was sent, not after its first item came
    expiresAtMs: null,
    collapseKey: null,
    // its items are cancelled, each by its own key
    cancelKey: null,
    wakeOnSeen: false,
    heldJson: null,
    digestId: null,
    digestPlace: null,
  }
}

/** One pass as it is kept in `runs.plan`. */
export function passJson(plan: Plan): string {
  return JSON.stringify({ at: plan.at, steps: plan.steps })
}

export function contentJson(plan: Plan): string | null {
  return Object.keys(plan.content).length === 0 ? null : JSON.stringify(plan.content)
}

export function heldJson(plan: Plan): string | null {
  return plan.held === undefined ? null : JSON.stringify(plan.held)
}

export interface DeliveryDefaults {
  maxAttempts: number
  respoolAfterMs: number
}

/** The deliveries of one pass of a run. `now` is when they begin to be due. */
export function deliveriesOf(
  run: { id: string; tenant: string; userId: string; createdAtMs: number },
  plan: Plan,
  now: number,
  defaults: DeliveryDefaults,
): DeliveryRow[] {
  const rows: DeliveryRow[] = []
  for (const step of plan.steps) {
    if (step.outcome !== 'deliver' || step.addresses === undefined) continue
    for (const address of step.addresses) {
      rows.push({
        runId: run.id,
        id: deliveryId(sha256, { run: run.id, step: step.step, address: `${address.kind}:${address.id}` }),
        tenant: run.tenant,
        userId: run.userId,
        channel: step.type as DeliveryChannel,
        lane: plan.lane,
        step: step.step,
        addressKind: address.kind,
        address: address.id,
        maxAttempts: step.maxAttempts ?? defaults.maxAttempts,
        dueAtMs: now + defaults.respoolAfterMs,
        expiresAtMs: plan.expiresAt ?? null,
        createdAtMs: now,
      })
    }
  }
  return rows
}

/** What publication needs of a row that was just written; `content` is the plan's, as it was stored. */
export function storedRun(row: RunRow, content: Plan['content']): StoredRun {
  return {
    id: row.id,
    tenant: row.tenant,
    eventId: row.eventId,
    userId: row.userId,
    workflowKey: row.workflowKey,
    lane: row.lane,
    category: row.category,
    inInbox: row.inInbox,
    content,
    createdAtMs: row.createdAtMs,
    seenAt: null,
    readAt: null,
    archivedAt: null,
    snoozedUntil: null,
    removedAt: null,
    revision: 0,
  }
}

export function storedDelivery(row: DeliveryRow): StoredDelivery {
  return { runId: row.runId, id: row.id, tenant: row.tenant, channel: row.channel, lane: row.lane }
}
