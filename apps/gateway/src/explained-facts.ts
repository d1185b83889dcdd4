import type { AuditFact, DomainEvent } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  celScope,
  compileRules,
  type ExplainInput,
  type GatheredItem,
  isCancelledBy,
  keyOf,
} from '@carillon/decisions'
import {
  awaitsOf,
  cancelFacts,
  type EventRecord,
  findEvent,
  findWorkflow,
  type GatheredRecord,
  gatheredBy,
  loadCancels,
  type RunRecord,
  signalsFor,
  type Tx,
  type WaitedFor,
} from '@carillon/postgres'
import { keptEvent, seenEvent } from './explained-selection.js'

/** What is read of runs besides their own rows, to tell why they wait, woke or ended. */

export type Passes = ExplainInput['passes']

/** Written by the dispatcher as {at, steps} per pass. */
export const passesOf = (run: RunRecord): Passes => run.plan as Passes

/** A run that carries what a digest gathered: it began by waiting at the digest's step. */
export function isDigest(run: RunRecord): boolean {
  const first = passesOf(run)[0]?.steps[0]
  return first?.type === 'digest' && first.outcome === 'wait'
}

/** The events of some runs by row id, as far as they are kept. */
export async function eventsOf(
  tx: Tx,
  { tenant, runs, given }: { tenant: string; runs: readonly RunRecord[]; given?: EventRecord | undefined },
): Promise<Map<string, EventRecord>> {
  const found = new Map<string, EventRecord>()
  if (given !== undefined) found.set(given.id, given)
  for (const id of new Set(runs.map((run) => run.eventId))) {
    const event = found.get(id) ?? (await findEvent(tx, { tenant, id }))
    if (event !== undefined) found.set(id, event)
  }
  return found
}

/** Versions by `key@version`, without their texts; those that are gone or no longer compile are missing. */
export async function versionsOf(
  tx: Tx,
  { tenant, of }: { tenant: string; of: readonly { key: string; version: number }[] },
): Promise<Map<string, CompiledWorkflow>> {
  const found = new Map<string, CompiledWorkflow>()
  for (const { key, version } of new Map(of.map((one) => [versionName(one), one])).values()) {
    const record = await findWorkflow(tx, { tenant, key, version })
    const compiled = record === undefined ? undefined : compileRules(record.definition, version)
    if (compiled !== undefined) found.set(versionName({ key, version }), compiled)
  }
  return found
}

export function versionName({ key, version }: { key: string; version: number }): string {
  return `${key}@${version}`
}

/** What runs wait for now, by run. */
export async function awaitedNow(
  tx: Tx,
  { tenant, runs }: { tenant: string; runs: readonly RunRecord[] },
): Promise<Map<string, NonNullable<ExplainInput['awaits']>>> {
  const ids = runs.filter(({ state }) => state === 'waiting').map(({ id }) => id)
  const rows = ids.length === 0 ? [] : await awaitsOf(tx, { tenant, ids })
  return new Map(rows.map(({ runId, type, key }) => [runId, { type, key }]))
}

/** The events that woke runs, by run: told by the key that each waited for, since rows of waits that are over go. */
export async function wokenBy(
  tx: Tx,
  of: {
    tenant: string
    runs: readonly RunRecord[]
    events: ReadonlyMap<string, EventRecord>
    versions: ReadonlyMap<string, CompiledWorkflow>
  },
): Promise<Map<string, NonNullable<ExplainInput['woken']>>> {
  const waited: WaitedFor[] = []
  for (const run of of.runs) {
    const version = of.versions.get(versionName({ key: run.workflowKey, version: run.workflowVersion }))
    const event = of.events.get(run.eventId)
    if (version === undefined || event === undefined || passesOf(run).length < 2) continue
    waited.push(...waitsOf(run, version, seenEvent(keptEvent(of.tenant, event))))
  }
  const woken = new Map<string, { type: string; id: string; at: number }[]>()
  for (const { runId, type, eventId, at } of await signalsFor(tx, { tenant: of.tenant, waited }))
    woken.set(runId, [...(woken.get(runId) ?? []), { type, id: eventId, at: at.getTime() }])
  return woken
}

function waitsOf(run: RunRecord, version: CompiledWorkflow, event: DomainEvent): WaitedFor[] {
  return passesOf(run).flatMap(({ steps }) =>
    steps.flatMap((outcome) => {
      const step = version.steps[outcome.step]
      if (outcome.outcome !== 'wait' || step?.type !== 'wait' || step.wait.kind !== 'event') return []
      const key = keyOf(step.wait.key, celScope(event))
      if (key === undefined) return []
      const { event: type, expression } = step.wait
      return [{ runId: run.id, type, expression, key, since: run.createdAt }]
    }),
  )
}

interface Cancelled {
  key: string
  at: number
}

/** The cancels that hold for runs or items of digests, by run. */
export async function cancelsOf(
  tx: Tx,
  of: {
    tenant: string
    runs: readonly {
      id: string
      workflowKey: string
      cancelKey: string | null
      createdAt: Date
      time: string | null
    }[]
  },
): Promise<Map<string, Cancelled>> {
  const keyed = of.runs.flatMap((run) => (run.cancelKey === null ? [] : [{ ...run, key: run.cancelKey }]))
  const moments = await loadCancels(
    tx,
    keyed.map(({ workflowKey, key }) => ({ tenant: of.tenant, workflowKey, key })),
  )
  const cancelled = new Map<string, Cancelled>()
  keyed.forEach(({ id, key, createdAt, time }, place) => {
    const at = moments[place]
    if (at !== undefined && isCancelledBy(at, { firstSeenMs: createdAt.getTime(), time }))
      cancelled.set(id, { key, at })
  })
  return cancelled
}

/** Who cancelled a key, as the trail says; undefined when it doesn't, as for a workflow's own `cancel` step. */
export async function cancelledBy(
  tx: Tx,
  of: { tenant: string; workflowKey: string; cancelled: Cancelled },
): Promise<string | undefined> {
  const facts = await cancelFacts(tx, { tenant: of.tenant, at: new Date(of.cancelled.at) })
  const fact = facts
    .map((text) => JSON.parse(text) as AuditFact)
    .find(
      ({ resource, details }) =>
        resource === `workflow:${of.workflowKey}` && details?.key === of.cancelled.key,
    )
  if (fact === undefined) return undefined
  return `${fact.actor.kind === 'key' ? 'the API key' : `the ${fact.actor.kind}`} ${fact.actor.id}`
}

/** Most items of a digest that are read. */
const MOST_ITEMS = 500

/** What digests gathered, by the digest's run, with why an item was left out. */
export async function itemsOf(
  tx: Tx,
  of: {
    tenant: string
    digests: readonly RunRecord[]
    versions: ReadonlyMap<string, CompiledWorkflow>
  },
): Promise<Map<string, GatheredItem[]>> {
  const { tenant, digests } = of
  const rows = await gatheredBy(tx, { tenant, ids: digests.map(({ id }) => id), limit: MOST_ITEMS })
  const cancels = await cancelsOf(tx, { tenant, runs: rows.map((row) => ({ ...row, id: row.runId })) })
  const items = new Map<string, GatheredItem[]>()
  for (const digest of digests) {
    const version = of.versions.get(versionName({ key: digest.workflowKey, version: digest.workflowVersion }))
    const stops = version?.definition.stop === 'seen'
    const closedAt = passesOf(digest)[1]?.at ?? Number.POSITIVE_INFINITY
    const own = rows.filter((row) => row.digestId === digest.id)
    items.set(
      digest.id,
      own.map((row) => itemOf(row, { closedAt, stops, cancelled: cancels.get(row.runId) })),
    )
  }
  return items
}

function itemOf(
  row: GatheredRecord,
  { closedAt, stops, cancelled }: { closedAt: number; stops: boolean; cancelled: Cancelled | undefined },
): GatheredItem {
  const item: GatheredItem = {
    run: row.runId,
    event: row.eventId ?? 'an event that is kept no more',
    type: row.type ?? '',
    at: row.createdAt.getTime(),
  }
  if (cancelled !== undefined && cancelled.at <= closedAt)
    item.leftOut = `it was cancelled with the key "${cancelled.key}" at ${new Date(cancelled.at).toISOString()}`
  else if (stops && row.seenAt !== null && row.seenAt.getTime() <= closedAt)
    item.leftOut = `it was seen at ${row.seenAt.toISOString()}, before the digest closed`
  return item
}
