import { durationMs } from '@carillon/contracts'
import type { CompiledWorkflow, Plan } from '@carillon/decisions'
import { type CapKey, reserveCaps, type Tx } from '@carillon/postgres'

/** One judged run, as far as caps care. */
export interface Capped {
  tenant: string
  userId: string
  workflow: CompiledWorkflow
  plan: Plan
}

/**
 * Counts the runs that would reach somebody through a capped channel and gives, for each run, how many came before it
 * in its window, or undefined where no cap applies. In the dispatch transaction: the counters stay locked until it
 * commits, so parallel dispatchers can't overshoot together.
 */
export async function countTowardsCaps(
  tx: Tx,
  runs: readonly Capped[],
  nowMs: number,
): Promise<(number | undefined)[]> {
  const keys = new Map<string, CapKey>()
  const places: ({ key: CapKey; place: number } | undefined)[] = runs.map((run) => {
    const cap = run.workflow.definition.cap
    if (cap === undefined || !delivers(run.plan)) return undefined
    const windowMs = durationMs(cap.per) as number
    const windowStartMs = Math.floor(nowMs / windowMs) * windowMs
    const name = `${run.tenant} ${run.userId} ${run.workflow.key} ${windowStartMs}`
    const key = keys.get(name) ?? {
      tenant: run.tenant,
      userId: run.userId,
      scope: run.workflow.key,
      windowStartMs,
      add: 0,
    }
    keys.set(name, key)
    return { key, place: key.add++ }
  })
  if (keys.size === 0) return places.map(() => undefined)
  const list = [...keys.values()]
  const totals = await reserveCaps(tx, list)
  const before = new Map(list.map((key, index) => [key, (totals[index] as number) - key.add]))
  return places.map((entry) =>
    entry === undefined ? undefined : (before.get(entry.key) as number) + entry.place,
  )
}

/** A cap demotes to the inbox, so only what goes beyond the inbox counts. */
function delivers(plan: Plan): boolean {
  return plan.steps.some((step) => step.outcome === 'deliver' && step.type !== 'inbox')
}
