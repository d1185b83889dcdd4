import { type CompiledWorkflow, type Digest, isCancelledBy } from '@carillon/decisions'
import {
  closeDigestWindows,
  type DigestItemRow,
  type DueRun,
  loadCancels,
  loadDigestItems,
  type Tx,
} from '@carillon/postgres'

/** What a digest gathered, or when it closes. */
export interface Gathered {
  /** When the next step is due, milliseconds. */
  closesAt: number
  items?: Digest
  /** When all of it was cancelled, or seen by a run that being seen ends. */
  cancelledAt?: number
  seenAt?: number
}

/**
 * Closes the windows of the digests among runs that woke, and folds what they gathered: without items that were cancelled
 * meanwhile, and without those that were seen where being seen ends a run. By run.
 */
export async function closeDigests(
  tx: Tx,
  runs: readonly { run: DueRun; workflow: CompiledWorkflow }[],
  now: number,
): Promise<Map<string, Gathered>> {
  const digests = runs.filter(
    ({ run, workflow }) => workflow.steps[(run.nextStep ?? 0) - 1]?.type === 'digest',
  )
  const gathered = new Map<string, Gathered>()
  if (digests.length === 0) return gathered
  const ids = digests.map(({ run }) => run.id)
  const open = await closeDigestWindows(tx, ids, now)
  for (const [id, closesAt] of open) gathered.set(id, { closesAt })
  const closed = digests.filter(({ run }) => !open.has(run.id))
  if (closed.length === 0) return gathered
  const items = await loadDigestItems(
    tx,
    closed.map(({ run }) => run.id),
  )
  const cancelled = await cancelledItems(tx, items, digests)
  for (const { run, workflow } of closed) {
    const own = items.filter((item) => item.digestId === run.id)
    gathered.set(run.id, fold(own, { workflow, cancelled, now, key: keyOf(run) }))
  }
  return gathered
}

function fold(
  items: readonly DigestItemRow[],
  {
    workflow,
    cancelled,
    now,
    key,
  }: { workflow: CompiledWorkflow; cancelled: ReadonlyMap<string, number>; now: number; key: string },
): Gathered {
  const alive = items.filter((item) => !cancelled.has(item.run))
  const stops = workflow.definition.stop === 'seen'
  const left = stops ? alive.filter((item) => item.seenAt === null) : alive
  const digest: Digest = {
    key,
    items: left.map(({ run, event: { data, ...event } }) => ({ run, event, data })),
  }
  const result: Gathered = { closesAt: now, items: digest }
  const last = (moments: number[]) => Math.max(...moments)
  if (alive.length === 0 && items.length > 0) result.cancelledAt = last([...cancelled.values()])
  else if (left.length === 0 && alive.length > 0)
    result.seenAt = last(alive.map((item) => item.seenAt?.getTime() ?? 0))
  return result
}

/** When items were cancelled, by run. */
async function cancelledItems(
  tx: Tx,
  items: readonly DigestItemRow[],
  digests: readonly { run: DueRun }[],
): Promise<Map<string, number>> {
  const tenantOf = new Map(digests.map(({ run }) => [run.id, run.tenant]))
  const keyed = items.filter((item) => item.cancelKey !== null)
  const cancels = await loadCancels(
    tx,
    keyed.map((item) => ({
      tenant: tenantOf.get(item.digestId) as string,
      workflowKey: item.workflowKey,
      key: item.cancelKey as string,
    })),
  )
  const cancelled = new Map<string, number>()
  keyed.forEach((item, place) => {
    const at = cancels[place]
    if (at !== undefined && isCancelledBy(at, { firstSeenMs: item.createdAtMs, time: item.event.time }))
      cancelled.set(item.run, at)
  })
  return cancelled
}

/** The key is kept in the words of the digest's first pass. */
function keyOf(run: DueRun): string {
  const [first] = run.plan as { steps: { detail: string }[] }[]
  return /^gathers "(.*)" until/s.exec(first?.steps[0]?.detail ?? '')?.[1] ?? ''
}
