import { type DomainEvent, eventHash, eventRowId } from '@carillon/contracts'
import {
  claimEventKeys,
  type FanoutRow,
  insertFanouts,
  insertSignals,
  loadStored,
  loadTenants,
  type OpenFanout,
  openFanouts,
  type StoredDelivery,
  type StoredRun,
  type Tx,
  upsertInlineUsers,
} from '@carillon/postgres'
import { messageOf, sha256 } from '@carillon/service'
import { type Assigned, assign } from './assign.js'
import type { DirectWorkflows } from './direct-workflows.js'
import { allChunks, fanoutRow } from './fan-out/plan-fan-out.js'
import { type JudgeDeps, judge } from './judge.js'
import { type Resolved, resolveRecipients } from './recipients.js'
import { eventRow } from './rows.js'
import type { RulesCache, TenantRules } from './rules.js'
import { judgeShadows } from './shadow.js'
import { signalsOf } from './signals.js'
import { writeRuns } from './write-runs.js'

export interface DecideDeps extends JudgeDeps {
  rules: RulesCache
  direct: DirectWorkflows
  maxAttempts: number
  respoolAfterMs: number
}

export interface Decided {
  /** What is committed and has to be published, whichever pass wrote it. */
  runs: StoredRun[]
  deliveries: StoredDelivery[]
  /** Large audiences whose chunks have to be published. */
  fanouts: OpenFanout[]
  /** Why an event can't be processed, by its place in the batch. Its rows, if any, are written all the same. */
  dead: Map<number, string>
  repeated: number
  /** Events that somebody may wait for and runs that wait for one: to be brought together after the commit. */
  meeting: { events: string[]; runs: string[]; keyed: string[] }
}

interface Known {
  index: number
  event: DomainEvent
  rules: TenantRules
  key: Uint8Array
  hash: Uint8Array
}

/**
 * Judges a batch of events inside one transaction: claims their keys, looks everything up at once, writes every row.
 * The claim and the rows commit together, so an event is either fresh, and this transaction writes all its rows, or
 * known, and its rows are there. A second plan never exists.
 */
export async function decideBatch(
  tx: Tx,
  events: readonly DomainEvent[],
  deps: DecideDeps,
): Promise<Decided> {
  const dead = new Map<number, string>()
  const known = await knownEvents(tx, events, deps, dead)
  const claimed = await claimEventKeys(
    tx,
    known.map((entry) => entry.key),
  )
  const fresh: (Known & { rowId: string; firstSeenMs: number; assigned: Assigned })[] = []
  const earlier = new Set<string>()
  const taken = new Set<string>()
  for (const entry of known) {
    const name = hexOf(entry.key)
    const seen = claimed.get(name)
    if (seen === undefined) throw new Error(`The key ${name} of an event was neither found nor claimed.`)
    const rowId = eventRowId(seen.firstSeenMs, entry.hash)
    if (!seen.fresh) earlier.add(rowId)
    if (!seen.fresh || taken.has(name)) continue
    taken.add(name)
    fresh.push({ ...entry, rowId, firstSeenMs: seen.firstSeenMs, assigned: assignOrBury(entry, deps, dead) })
  }
  const written = await writeFresh(tx, fresh, deps, dead)
  const stored = earlier.size === 0 ? { runs: [], deliveries: [] } : await loadStored(tx, [...earlier])
  const open = earlier.size === 0 ? [] : await openFanouts(tx, [...earlier])
  const { meeting } = written
  return {
    // on an earlier pass the commit may have been the last thing that happened
    meeting: {
      events: [...meeting.events, ...earlier],
      runs: [...meeting.runs, ...stored.runs.map((run) => run.id)],
      keyed: [...meeting.keyed, ...stored.runs.map((run) => run.id)],
    },
    fanouts: [...written.fanouts, ...open],
    runs: [...written.runs, ...stored.runs],
    deliveries: [...written.deliveries, ...stored.deliveries],
    dead,
    repeated: known.length - fresh.length,
  }
}

/** Events whose tenant exists; the others are dead before their key is claimed, so that a re-drive finds them new. */
async function knownEvents(
  tx: Tx,
  events: readonly DomainEvent[],
  deps: DecideDeps,
  dead: Map<number, string>,
): Promise<Known[]> {
  const tenants = await loadTenants(tx, [...new Set(events.map((event) => event.tenant))])
  const active = tenants.filter((tenant) => tenant.active)
  const rulesOf = await deps.rules.forTenants(tx, active)
  const known: Known[] = []
  events.forEach((event, index) => {
    const rules = rulesOf.get(event.tenant)
    if (rules === undefined) {
      const exists = tenants.some((tenant) => tenant.id === event.tenant)
      dead.set(
        index,
        exists ? `tenant "${event.tenant}" is suspended` : `tenant "${event.tenant}" is not known`,
      )
      return
    }
    const hash = eventHash(sha256, event)
    known.push({ index, event, rules, hash, key: hash.subarray(0, 16) })
  })
  return known
}

/** A trigger that can't be understood keeps its event, with the reason as outcome, and becomes a dead letter. */
function assignOrBury(entry: Known, deps: DecideDeps, dead: Map<number, string>): Assigned {
  try {
    return assign(entry.event, entry.rules, deps.direct)
  } catch (error) {
    dead.set(entry.index, messageOf(error))
    return { assignments: [], outcomes: [] }
  }
}

type Written = Pick<Decided, 'runs' | 'deliveries' | 'fanouts' | 'meeting'>

async function writeFresh(
  tx: Tx,
  fresh: readonly (Known & { rowId: string; firstSeenMs: number; assigned: Assigned })[],
  deps: DecideDeps,
  dead: Map<number, string>,
): Promise<Written> {
  if (fresh.length === 0)
    return { runs: [], deliveries: [], fanouts: [], meeting: { events: [], runs: [], keyed: [] } }
  const flat = fresh.flatMap((entry) =>
    entry.assigned.assignments.map((assignment) => ({ entry, rules: entry.rules, assignment })),
  )
  const { resolved, inline } = await resolveRecipients(tx, flat)
  if (inline.length > 0) await upsertInlineUsers(tx, inline)
  await judgeShadows(tx, fresh, deps)
  const judged = await judge(
    tx,
    flat.flatMap(({ entry, assignment }, place) =>
      (resolved[place]?.recipients ?? []).map((recipient) => ({
        rules: entry.rules,
        workflow: assignment.workflow,
        event: assignment.event,
        eventRow: entry.rowId,
        firstSeenMs: entry.firstSeenMs,
        index: entry.index,
        recipient,
      })),
    ),
    deps,
  )
  for (const run of judged.runs) {
    if (run.problem !== undefined) dead.set(run.candidate.index, run.problem)
  }
  const told = new Map<Assigned['assignments'][number], Resolved>()
  const fanouts: FanoutRow[] = []
  flat.forEach(({ entry, assignment }, place) => {
    const answer = resolved[place]
    if (answer === undefined) return
    told.set(assignment, answer)
    if (answer.fanout !== undefined) fanouts.push(fanoutRow(entry, assignment.workflow, answer.fanout))
  })
  const events = fresh.map((entry) => eventRow(entry, told, dead.get(entry.index)))
  const written = await writeRuns(tx, { events, judged }, deps)
  await insertFanouts(tx, fanouts, deps.respoolAfterMs)
  const signals = fresh.flatMap((entry) => signalsOf(entry, entry.rules))
  await insertSignals(tx, signals)
  return {
    ...written,
    fanouts: fanouts.map((row) => ({ ...row, missing: allChunks(row) })),
    meeting: {
      events: [...new Set(signals.map(({ eventId }) => eventId))],
      runs: written.awaiting,
      keyed: written.keyed,
    },
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
