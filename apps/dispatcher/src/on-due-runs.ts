import type { DomainEvent, Reason, RunState } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  type Plan,
  type PlanInput,
  plan,
  planForFailure,
  planForUnknown,
  RenderError,
  type StepOutcome,
} from '@carillon/decisions'
import {
  claimDueRuns,
  type Database,
  type DeliveryRow,
  type DueRun,
  insertDeliveries,
  loadTenants,
  markRefused,
  type StoredRun,
  settleWokenRuns,
  type Tx,
  updateWokenRuns,
  type WokenRun,
} from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import { asWorkflowSees, type DirectWorkflows, directWorkflow, NOTIFICATION_TYPE } from './assign.js'
import { countTowardsCaps } from './caps.js'
import type { DispatchEvents } from './events.js'
import { type Directory, lookUp } from './facts.js'
import { type Publishing, publishStored } from './publish-stored.js'
import { type DeliveryDefaults, deliveriesOf, storedDelivery } from './rows.js'
import type { RulesCache, TenantRules } from './rules.js'
import type { DueWork } from './waker.js'

export interface DueRunsDeps {
  database: Database
  rules: RulesCache
  direct: DirectWorkflows
  publishing: Publishing
  events: DispatchEvents
  failpoint: Failpoint
  now: () => number
  defaults: DeliveryDefaults
  refusedAgainMs: number
}

const BATCH = 500
/** How long a waker may take for a batch before another one begins it again. */
const LEASE_MS = 30_000

interface Woken {
  run: DueRun
  deliveries: DeliveryRow[]
  /** The run as it is stored after this pass. */
  stored: StoredRun
  newlyInInbox: boolean
  update: WokenRun
  wakeAtMs: number | null
}

/**
 * Goes on with runs that waited: judged again with the facts of now, stored marked as not published, published from
 * the rows, then settled. A waker that dies in between leaves the run due at the end of its lease.
 */
export function createOnDueRuns(deps: DueRunsDeps): DueWork {
  return {
    kind: 'runs',
    async run() {
      const claimed = await deps.database.inTransaction((tx) =>
        claimDueRuns(tx, { limit: BATCH, leaseMs: LEASE_MS }),
      )
      const unpublished = claimed.filter((run) => run.publishPending)
      const waiting = claimed.filter((run) => !run.publishPending)
      const woken = await deps.database.inTransaction((tx) => judgeAgain(tx, waiting, deps))
      deps.failpoint('dispatcher.after-wake')
      await publishWoken(woken, unpublished, deps)
      if (claimed.length > 0) deps.events.woken('runs', claimed.length)
      return { more: claimed.length === BATCH }
    },
  }
}

async function judgeAgain(tx: Tx, runs: readonly DueRun[], deps: DueRunsDeps): Promise<Woken[]> {
  if (runs.length === 0) return []
  const tenants = await loadTenants(tx, [...new Set(runs.map((run) => run.tenant))])
  const rulesOf = await deps.rules.forTenants(tx, tenants)
  const directory = await lookUp(
    tx,
    runs.flatMap((run) => (run.userId === null ? [] : [{ tenant: run.tenant, id: run.userId }])),
  )
  const judged: { run: DueRun; plan: Plan; input: PlanInput | undefined }[] = []
  for (const run of runs)
    judged.push({ run, ...(await judgeRun(tx, run, rulesOf.get(run.tenant), directory, deps)) })
  await capAgain(tx, judged, deps.now())
  const woken = judged.map(({ run, plan: pass }) => toWoken(run, pass, deps))
  const moved = await updateWokenRuns(
    tx,
    woken.map(({ update }) => update),
  )
  const mine = woken.filter(({ run }) => moved.has(run.id))
  await insertDeliveries(
    tx,
    mine.flatMap(({ deliveries }) => deliveries),
  )
  return mine
}

async function judgeRun(
  tx: Tx,
  run: DueRun,
  rules: TenantRules | undefined,
  directory: Directory,
  deps: DueRunsDeps,
): Promise<{ plan: Plan; input: PlanInput | undefined }> {
  const now = deps.now()
  const event = eventOf(run)
  const workflow = event === undefined ? undefined : await workflowOf(tx, run, event, rules, deps)
  if (event === undefined || workflow === undefined || rules === undefined) {
    return {
      plan: lostPlan(run, now, event === undefined ? 'its event' : 'its workflow version'),
      input: undefined,
    }
  }
  const facts =
    run.userId === null
      ? undefined
      : directory.factsOf(rules, run.userId, {
          category: run.category,
          seenAt: run.seenAt?.getTime() ?? null,
        })
  if (facts === undefined) {
    return { plan: planForUnknown({ event, workflow, now, recipient: run.recipient }), input: undefined }
  }
  const input: PlanInput = {
    event: asWorkflowSees(event),
    workflow,
    facts,
    now,
    begunAt: run.createdAtMs,
    fromStep: run.nextStep ?? 0,
  }
  try {
    return { plan: plan(input), input }
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    return { plan: planForFailure({ event, workflow, now, problem: error.message }), input: undefined }
  }
}

async function workflowOf(
  tx: Tx,
  run: DueRun,
  event: DomainEvent,
  rules: TenantRules | undefined,
  deps: DueRunsDeps,
): Promise<CompiledWorkflow | undefined> {
  if (event.type === NOTIFICATION_TYPE) return directWorkflow(event, deps.direct)
  const current = rules?.workflows.get(run.workflowKey)
  if (current?.version === run.workflowVersion) return current
  return deps.rules.version(tx, { tenant: run.tenant, key: run.workflowKey, version: run.workflowVersion })
}

/** Caps count what goes out, whenever it goes out. */
async function capAgain(
  tx: Tx,
  judged: { run: DueRun; plan: Plan; input: PlanInput | undefined }[],
  now: number,
): Promise<void> {
  const capped = judged.filter((entry) => entry.input !== undefined && !deliveredBefore(entry.run))
  const counts = await countTowardsCaps(
    tx,
    capped.map(({ run, plan: pass, input }) => ({
      tenant: run.tenant,
      userId: run.userId as string,
      workflow: (input as PlanInput).workflow,
      plan: pass,
    })),
    now,
  )
  counts.forEach((capCount, place) => {
    const entry = capped[place] as (typeof capped)[number]
    const input = entry.input as PlanInput
    if (capCount === undefined || capCount < (input.workflow.definition.cap?.count ?? 0)) return
    entry.plan = plan({ ...input, facts: { ...input.facts, capCount } })
  })
}

function toWoken(run: DueRun, pass: Plan, deps: DueRunsDeps): Woken {
  const passes = [...run.plan, { at: pass.at, steps: pass.steps }]
  const content = { ...run.content, ...pass.content }
  const inInbox = run.inInbox || pass.inInbox
  return {
    run,
    newlyInInbox: pass.inInbox && !run.inInbox,
    stored: { ...run, inInbox, content },
    wakeAtMs: pass.wakeAt ?? null,
    deliveries:
      run.userId === null
        ? []
        : deliveriesOf({ ...run, userId: run.userId }, { ...pass, lane: run.lane }, pass.at, deps.defaults),
    update: {
      id: run.id,
      fromStep: run.nextStep,
      ...finalState(run, pass),
      planJson: JSON.stringify(passes),
      contentJson: Object.keys(content).length === 0 ? null : JSON.stringify(content),
      nextStep: pass.nextStep ?? null,
      inInbox,
      leaseUntilMs: deps.now() + LEASE_MS,
    },
  }
}

/** What has gone out once makes the run complete, whatever the later steps said. */
function finalState(run: DueRun, pass: Plan): { state: RunState; reason: Reason | null } {
  if (pass.state === 'skipped' && deliveredBefore(run))
    return { state: 'completed', reason: pass.reason ?? null }
  return { state: pass.state, reason: pass.reason ?? null }
}

function deliveredBefore(run: DueRun): boolean {
  return (
    (run.plan as { steps: StepOutcome[] }[]).some((earlier) =>
      earlier.steps.some((step) => step.outcome === 'deliver' && step.type !== 'inbox'),
    ) || run.inInbox
  )
}

async function publishWoken(
  woken: readonly Woken[],
  unpublished: readonly DueRun[],
  deps: DueRunsDeps,
): Promise<void> {
  if (woken.length + unpublished.length === 0) return
  const nowMs = deps.now()
  const published = await publishStored(
    {
      runs: [...woken.filter((entry) => entry.newlyInInbox).map((entry) => entry.stored), ...unpublished],
      deliveries: woken.flatMap((entry) => entry.deliveries.map(storedDelivery)),
    },
    deps.publishing,
    { nowMs, bornMs: (run) => (unpublished.includes(run as DueRun) ? run.createdAtMs : nowMs) },
  )
  for (const [stream, count] of published.refusedByStream) deps.events.refused(stream, count)
  if (published.refused.length > 0) {
    await deps.database.inTransaction((tx) => markRefused(tx, published.refused, deps.refusedAgainMs))
  }
  if (published.framesFailed !== undefined) {
    // the runs stay due at the end of their lease, still marked as not published
    deps.events.postponed(published.framesFailed, woken.length)
    return
  }
  await deps.database.inTransaction((tx) =>
    settleWokenRuns(tx, [
      ...woken.map(({ run, wakeAtMs }) => ({ id: run.id, wakeAtMs })),
      ...unpublished.map((run) => ({ id: run.id, wakeAtMs: lastWait(run) })),
    ]),
  )
}

/** When a run that was judged but not published has to wake next: the end of its last wait, if it waits. */
function lastWait(run: DueRun): number | null {
  if (run.nextStep === null) return null
  const last = (run.plan as { steps: StepOutcome[] }[]).at(-1)?.steps.at(-1)
  return last?.outcome === 'wait' ? (last.at ?? null) : null
}

/** A run whose event or workflow is gone ends, and says so. */
function lostPlan(run: DueRun, now: number, what: string): Plan {
  return {
    state: 'failed',
    reason: 'CONFIGURATION',
    at: now,
    steps: [
      {
        step: run.nextStep ?? 0,
        type: 'inbox',
        outcome: 'skip',
        reason: 'CONFIGURATION',
        detail: `${what} is no longer kept`,
      },
    ],
    content: {},
    inInbox: false,
    lane: run.lane,
    category: run.category,
  }
}

function eventOf(run: DueRun): DomainEvent | undefined {
  const stored = run.event
  if (stored === null) return undefined
  return {
    tenant: run.tenant,
    lane: run.lane,
    id: stored.eventId,
    source: stored.source,
    type: stored.type,
    time: stored.time ?? undefined,
    subject: stored.subject ?? undefined,
    data: stored.data,
    dataJson: JSON.stringify(stored.data),
    traceparent: undefined,
  }
}
