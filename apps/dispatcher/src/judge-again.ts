import type { DomainEvent } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  type Facts,
  isCancelledBy,
  type Plan,
  type PlanInput,
  plan,
  planForUnknown,
  type StepOutcome,
  sends,
} from '@carillon/decisions'
import {
  type AwaitRow,
  type CancelRow,
  type DueRun,
  loadAwaited,
  loadCancels,
  loadTenants,
  type Tx,
  type UserKey,
} from '@carillon/postgres'
import { asWorkflowSees, directWorkflow, NOTIFICATION_TYPE } from './assign.js'
import { closeDigests, type Gathered } from './close-digests.js'
import type { DirectWorkflows } from './direct-workflows.js'
import { type Directory, lookUp } from './facts.js'
import type { DigestRun } from './gathering.js'
import { cancelsOf, type JudgeDeps } from './judge.js'
import type { RulesCache, TenantRules } from './rules.js'
import { settle } from './settle.js'
import { judgeInto, type Settling } from './settling.js'
import { awaitsOf } from './signals.js'

export interface JudgeAgainDeps extends JudgeDeps {
  rules: RulesCache
  direct: DirectWorkflows
}

/** A run that woke, and what is to become of it now. */
export interface JudgedAgain {
  run: DueRun
  plan: Plan
  /** The digest that it went into. */
  digestId: string | null
  digestPlace: number | null
  /** Its key was cancelled: what of it is still in a queue goes no further. */
  cancelled: boolean
}

export interface JudgedAgainBatch {
  runs: JudgedAgain[]
  /** What they wait for from now on, opened and cancelled. */
  awaits: AwaitRow[]
  digests: DigestRun[]
  cancels: CancelRow[]
}

/** A run whose event, tenant and version are still there. */
interface Begun {
  run: DueRun
  rules: TenantRules
  event: DomainEvent
  workflow: CompiledWorkflow
}

/** What was looked up for the runs of a batch. */
interface Lookups {
  directory: Directory
  cancelledAt: ReadonlyMap<string, number>
  awaited: ReadonlyMap<string, NonNullable<Facts['awaited']>>
}

/** Judges runs that waited with the facts of now and the workflow version that they began with. */
export async function judgeAgain(
  tx: Tx,
  runs: readonly DueRun[],
  deps: JudgeAgainDeps,
): Promise<JudgedAgainBatch> {
  const tenants = await loadTenants(tx, [...new Set(runs.map((run) => run.tenant))])
  const rulesOf = await deps.rules.forTenants(tx, tenants)
  const begun: Begun[] = []
  const lost: JudgedAgain[] = []
  for (const run of runs) {
    const rules = rulesOf.get(run.tenant)
    const event = eventOf(run)
    const workflow = event === undefined ? undefined : await workflowOf(tx, run, { event, rules, deps })
    if (rules === undefined || event === undefined || workflow === undefined) {
      const what = event === undefined ? 'its event' : 'its workflow version'
      lost.push({
        run,
        plan: lostPlan(run, deps.now(), what),
        digestId: null,
        digestPlace: null,
        cancelled: false,
      })
    } else begun.push({ run, rules, event: asWorkflowSees(event), workflow })
  }
  const gathered = await closeDigests(tx, begun, deps.now())
  const lookups = await lookUpAgain(tx, begun, deps)
  const settling = begun.map((entry) => judgeRun(entry, lookups, gathered.get(entry.run.id), deps))
  const digests = await settle(tx, settling)
  const judged = begun.map(({ run }, place) => {
    const { plan: settled, digestId, digestPlace, input } = settling[place] as Settling
    const cancelled = input !== undefined && input.facts.cancelledAt !== null
    return { run, plan: settled, digestId, digestPlace, cancelled }
  })
  return {
    runs: [...lost, ...judged],
    awaits: awaitsOf(settling),
    digests,
    cancels: settling.flatMap((run) => cancelsOf(run)),
  }
}

/** True when something of the run has gone out or stands in the inbox. */
export function deliveredBefore(run: DueRun): boolean {
  return run.inInbox || earlierPasses(run).some(sends)
}

function earlierPasses(run: DueRun): { steps: StepOutcome[] }[] {
  return run.plan as { steps: StepOutcome[] }[]
}

async function lookUpAgain(tx: Tx, begun: readonly Begun[], deps: JudgeAgainDeps): Promise<Lookups> {
  const directory = await lookUp(
    tx,
    {
      users: begun.flatMap(({ run }) => keyOfUser(run)),
      asked: begun.flatMap(({ run, workflow }) => (workflow.asksOnline ? keyOfUser(run) : [])),
    },
    deps,
  )
  const keyed = begun.filter(({ run }) => run.cancelKey !== null)
  const cancels = await loadCancels(
    tx,
    keyed.map(({ run }) => ({
      tenant: run.tenant,
      workflowKey: run.workflowKey,
      key: run.cancelKey as string,
    })),
  )
  const cancelledAt = new Map<string, number>()
  keyed.forEach(({ run, event }, place) => {
    const at = cancels[place]
    if (at !== undefined && isCancelledBy(at, { firstSeenMs: run.createdAtMs, time: event.time }))
      cancelledAt.set(run.id, at)
  })
  const waiting = begun.filter(({ run, workflow }) => {
    const before = workflow.steps[(run.nextStep ?? 0) - 1]
    return before?.type === 'wait' && before.wait.kind === 'event'
  })
  const came =
    waiting.length === 0
      ? []
      : await loadAwaited(
          tx,
          waiting.map(({ run }) => run.id),
        )
  const awaited = new Map(came.map(({ runId, ...event }) => [runId, event]))
  return { directory, cancelledAt, awaited }
}

function keyOfUser({ tenant, userId }: DueRun): UserKey[] {
  return userId === null ? [] : [{ tenant, id: userId }]
}

function judgeRun(
  { run, rules, event, workflow }: Begun,
  { directory, cancelledAt, awaited }: Lookups,
  digest: Gathered | undefined,
  { calendar, now: clock }: JudgeAgainDeps,
): Settling {
  const now = clock()
  const judged: Settling = {
    runId: run.id,
    eventRow: run.eventId,
    userId: run.userId ?? '',
    recipient: run.recipient,
    rules,
    workflow,
    input: undefined,
    plan: planForUnknown({ event, workflow, now, recipient: run.recipient }),
    countedBefore: earlierPasses(run).some(sends),
    digestId: null,
    digestPlace: null,
  }
  const facts =
    run.userId === null
      ? undefined
      : directory.factsOf(rules, run.userId, {
          category: run.category,
          seenAt: digest?.seenAt ?? run.seenAt?.getTime() ?? null,
          cancelledAt: digest?.cancelledAt ?? cancelledAt.get(run.id) ?? null,
        })
  if (facts === undefined) return judged
  const came = awaited.get(run.id)
  if (came !== undefined) facts.awaited = came
  if (digest?.items !== undefined) facts.digest = digest.items
  const input: PlanInput = {
    event,
    workflow,
    facts,
    now,
    calendar,
    // what a digest sends expires after it was sent
    begunAt: digest?.closedAt ?? run.createdAtMs,
    fromStep: run.nextStep,
    resumeAt: digest?.closesAt ?? run.resumeAtMs,
    held: run.held ?? [],
  }
  judged.input = input
  judgeInto(judged, () => plan(input))
  return judged
}

async function workflowOf(
  tx: Tx,
  run: DueRun,
  { event, rules, deps }: { event: DomainEvent; rules: TenantRules | undefined; deps: JudgeAgainDeps },
): Promise<CompiledWorkflow | undefined> {
  if (event.type === NOTIFICATION_TYPE) return directWorkflow(event, deps.direct)
  const current = rules?.workflows.get(run.workflowKey)
  if (current?.version === run.workflowVersion) return current
  return deps.rules.version(tx, { tenant: run.tenant, key: run.workflowKey, version: run.workflowVersion })
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
