import type { DomainEvent } from '@carillon/contracts'
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
import { type DueRun, loadTenants, type Tx } from '@carillon/postgres'
import { asWorkflowSees, type DirectWorkflows, directWorkflow, NOTIFICATION_TYPE } from './assign.js'
import { countTowardsCaps } from './caps.js'
import { type Directory, lookUp } from './facts.js'
import type { RulesCache, TenantRules } from './rules.js'

export interface JudgeAgainDeps {
  rules: RulesCache
  direct: DirectWorkflows
  now: () => number
}

/** A run that woke, and what is to become of it now. */
export interface JudgedAgain {
  run: DueRun
  plan: Plan
  /** What it was judged from; undefined when it could not be judged and ends. */
  input: PlanInput | undefined
}

/** Judges runs that waited with the facts of now and the workflow version that they began with. */
export async function judgeAgain(
  tx: Tx,
  runs: readonly DueRun[],
  deps: JudgeAgainDeps,
): Promise<JudgedAgain[]> {
  const tenants = await loadTenants(tx, [...new Set(runs.map((run) => run.tenant))])
  const rulesOf = await deps.rules.forTenants(tx, tenants)
  const directory = await lookUp(
    tx,
    runs.flatMap((run) => (run.userId === null ? [] : [{ tenant: run.tenant, id: run.userId }])),
  )
  const judged: JudgedAgain[] = []
  for (const run of runs) {
    judged.push({ run, ...(await judgeRun(tx, run, rulesOf.get(run.tenant), directory, deps)) })
  }
  await capAgain(tx, judged, deps.now())
  return judged
}

/** True when something of the run has gone out or stands in the inbox. */
export function deliveredBefore(run: DueRun): boolean {
  return run.inInbox || wentOutBefore(run)
}

/** True when something has gone out beyond the inbox: that is what caps count, once a run. */
function wentOutBefore(run: DueRun): boolean {
  return (run.plan as { steps: StepOutcome[] }[]).some((earlier) =>
    earlier.steps.some((step) => step.outcome === 'deliver' && step.type !== 'inbox'),
  )
}

async function judgeRun(
  tx: Tx,
  run: DueRun,
  rules: TenantRules | undefined,
  directory: Directory,
  deps: JudgeAgainDeps,
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
  deps: JudgeAgainDeps,
): Promise<CompiledWorkflow | undefined> {
  if (event.type === NOTIFICATION_TYPE) return directWorkflow(event, deps.direct)
  const current = rules?.workflows.get(run.workflowKey)
  if (current?.version === run.workflowVersion) return current
  return deps.rules.version(tx, { tenant: run.tenant, key: run.workflowKey, version: run.workflowVersion })
}

/** Caps count what goes out, whenever it goes out. */
async function capAgain(tx: Tx, judged: readonly JudgedAgain[], now: number): Promise<void> {
  const capped = judged.filter((entry) => entry.input !== undefined && !wentOutBefore(entry.run))
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
