import { LANES, type Lane, type Reason, type RunState } from '@carillon/contracts'
import type { Plan } from '@carillon/decisions'
import {
  cancelRuns,
  claimDueRuns,
  type Database,
  type DeliveryRow,
  type DueRun,
  deleteAwaits,
  insertAwaits,
  insertDecisions,
  lockWaitingRuns,
  markRefused,
  type StoredRun,
  settleWokenRuns,
  type Tx,
  updateWokenRuns,
  type WokenRun,
  wakeAwaiting,
  withdrawDeliveries,
} from '@carillon/postgres'
import type { Failpoint } from '@carillon/service'
import type { DispatchEvents } from './events.js'
import { deliveredBefore, type JudgeAgainDeps, type JudgedAgain, judgeAgain } from './judge-again.js'
import { type Publishing, publishStored } from './publish-stored.js'
import { type DeliveryDefaults, deliveriesOf, digestRow, heldJson, storedDelivery } from './rows.js'
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
  /** What this pass decided. */
  pass: Plan
  deliveries: DeliveryRow[]
  /** The run as it is stored after this pass. */
  stored: StoredRun
  newlyInInbox: boolean
  update: WokenRun
  wakeAtMs: number | null
}

/**
 * Goes on with runs that waited: judged again with the facts of now, stored marked as not published, published from
 * the rows, then settled. A waker that dies in between leaves the run due at the end of its lease. Lanes take turns, so
 * a hundred thousand reminders can't hold up a one-time code.
 */
export function createOnDueRuns(deps: DueRunsDeps): DueWork {
  return {
    kind: 'runs',
    async run(signal) {
      let more = false
      for (const lane of LANES) {
        if (signal.aborted) return { more: false }
        more = (await wakeLane(lane, deps)) || more
      }
      return { more }
    },
  }
}

/** True when more may be due. */
async function wakeLane(lane: Lane, deps: DueRunsDeps): Promise<boolean> {
  const claimed = await deps.database.inTransaction((tx) =>
    claimDueRuns(tx, { lane, limit: BATCH, leaseMs: LEASE_MS }),
  )
  if (claimed.length === 0) return false
  deps.events.late(deps.now() - Math.min(...claimed.map((run) => run.dueAtMs)))
  const unpublished = claimed.filter((run) => run.publishPending)
  const waiting = claimed.filter((run) => !run.publishPending)
  const woken = await deps.database.inTransaction((tx) => wake(tx, waiting, deps))
  deps.failpoint('dispatcher.after-wake')
  const awaiting = woken.filter(({ pass }) => pass.awaits !== undefined).map(({ run }) => run.id)
  if (awaiting.length > 0)
    await deps.database.inTransaction((tx) => wakeAwaiting(tx, { events: [], runs: awaiting }))
  await publishWoken(woken, unpublished, deps)
  deps.events.woken('runs', claimed.length)
  return claimed.length === BATCH
}

async function wake(tx: Tx, claimed: readonly DueRun[], deps: DueRunsDeps): Promise<Woken[]> {
  if (claimed.length === 0) return []
  // what another waker moved on meanwhile is not joined to a digest, counted or cancelled a second time
  const mine = await lockWaitingRuns(tx, claimed)
  const judged = await judgeAgain(
    tx,
    claimed.filter((run) => mine.has(run.id)),
    deps,
  )
  const woken = judged.runs.map((entry) => toWoken(entry, deps))
  await updateWokenRuns(
    tx,
    woken.map(({ update }) => update),
  )
  await insertDecisions(tx, {
    events: [],
    runs: judged.digests.map(digestRow),
    deliveries: woken.flatMap(({ deliveries }) => deliveries),
  })
  await deleteAwaits(
    tx,
    woken.filter(({ run, update }) => update.nextStep !== run.nextStep).map(({ run }) => run.id),
  )
  await insertAwaits(tx, judged.awaits)
  await cancelRuns(tx, judged.cancels)
  await withdrawDeliveries(
    tx,
    judged.runs.filter(({ cancelled }) => cancelled).map(({ run }) => run.id),
  )
  return woken
}

function toWoken({ run, plan: pass, digestId, digestPlace }: JudgedAgain, deps: DueRunsDeps): Woken {
  // a look that changed nothing leaves no trace
  const passes = pass.steps.length === 0 ? run.plan : [...run.plan, { at: pass.at, steps: pass.steps }]
  const content = { ...run.content, ...pass.content }
  const inInbox = run.inInbox || pass.inInbox
  return {
    run,
    pass,
    newlyInInbox: pass.inInbox && !run.inInbox,
    stored: { ...run, inInbox, content },
    wakeAtMs: pass.wakeAt ?? null,
    deliveries:
      run.userId === null
        ? []
        : deliveriesOf({ ...run, userId: run.userId }, { ...pass, lane: run.lane }, pass.at, deps.defaults),
    update: {
      id: run.id,
      ...finalState(run, pass),
      planJson: JSON.stringify(passes),
      contentJson: Object.keys(content).length === 0 ? null : JSON.stringify(content),
      nextStep: pass.nextStep ?? null,
      resumeAtMs: pass.resumeAt ?? null,
      heldJson: heldJson(pass),
      digestId,
      digestPlace,
      inInbox,
      leaseUntilMs: deps.now() + LEASE_MS,
    },
  }
}

/** What has gone out once makes the run complete, whatever the later steps said. */
function finalState(run: DueRun, pass: Plan): { state: RunState; reason: Reason | null } {
  if ((pass.state === 'skipped' || pass.state === 'cancelled') && deliveredBefore(run))
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
      ...woken.map(({ run, wakeAtMs, update }) => ({
        id: run.id,
        wakeAtMs,
        leaseUntilMs: update.leaseUntilMs,
      })),
      ...unpublished.map((run) => ({ id: run.id, wakeAtMs: nextWake(run), leaseUntilMs: null })),
    ]),
  )
}

/** When a run that was judged but not published has to wake next, if it waits. */
function nextWake(run: DueRun): number | null {
  const moments = [
    ...(run.held ?? []).map(({ at }) => at),
    ...(run.resumeAtMs === null ? [] : [run.resumeAtMs]),
  ]
  return moments.length === 0 ? null : Math.min(...moments)
}
