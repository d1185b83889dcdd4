import type { Reason, RunState } from '@carillon/contracts'
import type { Plan, StepOutcome } from '@carillon/decisions'
import {
  claimDueRuns,
  type Database,
  type DeliveryRow,
  type DueRun,
  insertDeliveries,
  markRefused,
  type StoredRun,
  settleWokenRuns,
  type Tx,
  updateWokenRuns,
  type WokenRun,
} from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import type { DispatchEvents } from './events.js'
import { deliveredBefore, type JudgeAgainDeps, judgeAgain } from './judge-again.js'
import { type Publishing, publishStored } from './publish-stored.js'
import { type DeliveryDefaults, deliveriesOf, storedDelivery } from './rows.js'
import type { DueWork } from './waker.js'

export interface DueRunsDeps extends JudgeAgainDeps {
  database: Database
  publishing: Publishing
  events: DispatchEvents
  failpoint: Failpoint
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
      const woken = await deps.database.inTransaction((tx) => wake(tx, waiting, deps))
      deps.failpoint('dispatcher.after-wake')
      await publishWoken(woken, unpublished, deps)
      if (claimed.length > 0) deps.events.woken('runs', claimed.length)
      return { more: claimed.length === BATCH }
    },
  }
}

async function wake(tx: Tx, runs: readonly DueRun[], deps: DueRunsDeps): Promise<Woken[]> {
  if (runs.length === 0) return []
  const judged = await judgeAgain(tx, runs, deps)
  const woken = judged.map(({ run, plan }) => toWoken(run, plan, deps))
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
