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
  /** When the next step is due, milliseconds; undefined: as the run has it. */
  closesAt?: number
  /** When its window closed: what it sends expires from then on. */
  closedAt?: number
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
  const gathered = new Map<string, Gathered>()
  const digests = runs.filter(({ run }) => passOfDigest(run) !== undefined)
  if (digests.length === 0) return gathered
  const closing = digests.filter(
    ({ run, workflow }) => workflow.steps[(run.nextStep ?? 0) - 1]?.type === 'digest',
  )
  const open = await closeDigestWindows(
    tx,
    closing.map(({ run }) => run.id),
    now,
  )
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
    const folded = fold(own.length === 0 ? flushedItem(run) : own, { workflow, cancelled, key: keyOf(run) })
    if (closing.some((entry) => entry.run === run))
      gathered.set(run.id, { ...folded, closesAt: now, closedAt: now })
    else gathered.set(run.id, { ...folded, closedAt: closedAtOf(run) })
  }
  return gathered
}

interface Passes {
  plan: { at: number; steps: { type: string; outcome: string; detail: string }[] }[]
}

/** The pass in which a run carried a digest, or flushed one; undefined for all others. */
function passOfDigest(run: DueRun): number | undefined {
  const found = (run as unknown as Passes).plan.findLastIndex(({ steps }) =>
    steps.some(({ type, outcome }) => type === 'digest' && (outcome === 'wait' || outcome === 'pass')),
  )
  return found === -1 ? undefined : found
}

/** The pass after the window is the one that closed it. */
function closedAtOf(run: DueRun): number {
  const { plan } = run as unknown as Passes
  const opened = passOfDigest(run) ?? 0
  return (plan[opened + 1] ?? plan[opened])?.at ?? run.createdAtMs
}

/** What flushed its window is a digest of one. */
function flushedItem(run: DueRun): DigestItemRow[] {
  if (run.event === null) return []
  const { eventId, type, source, subject, time, data } = run.event
  return [
    {
      digestId: run.id,
      run: run.id,
      workflowKey: run.workflowKey,
      seenAt: run.seenAt,
      cancelKey: run.cancelKey,
      createdAtMs: run.createdAtMs,
      event: { id: eventId, type, source, subject, time, data },
    },
  ]
}

function fold(
  items: readonly DigestItemRow[],
  {
    workflow,
    cancelled,
    key,
  }: { workflow: CompiledWorkflow; cancelled: ReadonlyMap<string, number>; key: string },
): Gathered {
  const alive = items.filter((item) => !cancelled.has(item.run))
  const stops = workflow.definition.stop === 'seen'
  const left = stops ? alive.filter((item) => item.seenAt === null) : alive
  const digest: Digest = {
    key,
    items: left.map(({ run, event: { data, ...event } }) => ({ run, event, data })),
  }
  const result: Gathered = { items: digest }
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
  const steps = (run as unknown as Passes).plan[passOfDigest(run) ?? 0]?.steps ?? []
  const gathers = steps.find(({ type }) => type === 'digest')?.detail ?? ''
  return /^gathers "(.*)" until/s.exec(gathers)?.[1] ?? ''
}
