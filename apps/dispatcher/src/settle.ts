import { joinParts, type Plan, type PlanInput, plan, sends } from '@carillon/decisions'
import type { Tx } from '@carillon/postgres'
import { count } from './counting.js'
import { createGathering, type DigestRun, type Gathering } from './gathering.js'
import { judgeInto, type Settling } from './settling.js'

/** A window that flushes its first item may lead to the next digest, and so on; each is a step further. */
const MOST_ROUNDS = 50

/**
 * Judges plans against what is counted and gathered: throttles, caps, digests. In the transaction that writes the runs,
 * so that parallel dispatchers go one after the other. Gives the digests that were opened.
 */
export async function settle(tx: Tx, runs: readonly Settling[]): Promise<DigestRun[]> {
  const gathering = createGathering()
  let pending = runs.filter((run) => run.input !== undefined)
  for (let round = 0; pending.length > 0 && round < MOST_ROUNDS; round++) {
    await count(tx, pending)
    pending = await goOnFlushed(tx, pending, gathering)
  }
  await gathering.wakeFull(tx)
  return gathering.opened()
}

/** Lets what flushed its window go on as a digest of one. */
async function goOnFlushed(tx: Tx, runs: readonly Settling[], gathering: Gathering): Promise<Settling[]> {
  const joining = runs.filter((run) => run.plan.digest !== undefined)
  if (joining.length === 0) return []
  const flushed = await gathering.join(tx, joining)
  for (const run of flushed) {
    const earlier = run.plan
    const { step, key } = earlier.digest as NonNullable<Plan['digest']>
    const input = run.input as PlanInput
    const { id, type, source, subject = null, time = null, data } = input.event
    const item = { run: run.runId, event: { id, type, source, subject, time }, data }
    run.input = {
      ...input,
      fromStep: step + 1,
      held: [],
      resumeAt: null,
      facts: { ...input.facts, digest: { key, items: [item] } },
    }
    run.countedBefore ||= sends(earlier)
    judgeInto(run, () => joinParts(earlier, plan(run.input as PlanInput)))
  }
  return flushed
}
