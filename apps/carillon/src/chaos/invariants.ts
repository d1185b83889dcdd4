import { type Database, verifyAudit } from '@carillon/postgres'
import pc from 'picocolors'
import type { Journal } from './load.js'

/** One thing that must hold after every fault (the numbers are those of the design's list of invariants). */
export interface Invariant {
  name: string
  checked: number
  broken: number
  /** First few that break it. */
  examples: string[]
}

export interface Observed {
  database: Database
  /** How often each delivery rang on a device or in a mailbox. */
  rung: ReadonlyMap<string, number>
  tenant: string
  journal: Journal
}

/** Looks at everything once the mesh is quiet. */
export async function checkInvariants(observed: Observed): Promise<Invariant[]> {
  return [
    ...(await eventsOnce(observed)),
    await runsOnce(observed),
    await itemsOnce(observed),
    await deliveriesEnded(observed),
    await ringsOnce(observed),
    ...(await chainHolds(observed)),
  ]
}

/** Set algebra over the journal: lost = acknowledged − observed, unexpected = observed − attempted. */
async function eventsOnce({ database, journal, tenant }: Observed): Promise<Invariant[]> {
  const { rows } = await database.query<{ id: string; count: number }>({
    text: `SELECT event_id AS id, count(*)::int AS count FROM events WHERE tenant_id = $1 AND source = '/chaos' GROUP BY 1`,
    values: [tenant],
  })
  const seen = new Map(rows.map((row) => [row.id, row.count]))
  const lost = [...journal.acknowledged].filter((id) => !seen.has(id))
  const unexpected = [...seen.keys()].filter((id) => !journal.attempted.has(id))
  const doubled = rows.filter((row) => row.count > 1).map((row) => row.id)
  return [
    invariant('1 every acknowledged event is there', journal.acknowledged.size, lost),
    invariant('1 nothing is there that nobody sent', seen.size, unexpected),
    invariant('1 no event is there twice', seen.size, doubled),
  ]
}

/** Accepted event × matching workflow × recipient = exactly one run, with a state that explains itself. */
async function runsOnce({ database, tenant }: Observed): Promise<Invariant> {
  const { rows } = await database.query<{ id: string; runs: number }>({
    text: `SELECT e.event_id AS id, count(r.id) FILTER (WHERE r.state = 'completed')::int AS runs
      FROM events e LEFT JOIN runs r ON r.event_id = e.id AND r.workflow_key = 'tick' WHERE e.tenant_id = $1 AND e.source = '/chaos' GROUP BY e.id, e.event_id`,
    values: [tenant],
  })
  return invariant(
    '1 every event has exactly one run',
    rows.length,
    rows.filter((row) => row.runs !== 1).map((row) => row.id),
  )
}

/** Every event is told in exactly one digest, and once in it. */
async function itemsOnce({ database, tenant }: Observed): Promise<Invariant> {
  const { rows } = await database.query<{ id: string; told: number; digested: number }>({
    text: `WITH told AS (
        SELECT n, count(*)::int AS times FROM runs, unnest(string_to_array(content -> 'inbox' ->> 'body', ' ')) AS n
        WHERE tenant_id = $1 AND workflow_key = 'gather' AND state = 'completed' GROUP BY n)
      SELECT e.event_id AS id, coalesce(max(told.times), 0) AS told,
        count(r.id) FILTER (WHERE r.state = 'digested' AND r.digest_id IS NOT NULL)::int AS digested
      FROM events e LEFT JOIN runs r ON r.event_id = e.id AND r.workflow_key = 'gather' LEFT JOIN told ON told.n = e.data ->> 'n'
      WHERE e.tenant_id = $1 AND e.source = '/chaos' GROUP BY e.id, e.event_id`,
    values: [tenant],
  })
  const wrong = rows.filter((row) => row.told !== 1 || row.digested !== 1)
  return invariant(
    '1 every event is told in exactly one digest',
    rows.length,
    wrong.map((row) => `${row.id} told ${row.told}, gathered ${row.digested}`),
  )
}

async function deliveriesEnded({ database, tenant }: Observed): Promise<Invariant> {
  const { rows } = await database.query<{ id: string; status: string; read: boolean }>({
    text: `SELECT d.id, d.status, r.read_at IS NOT NULL AS read
      FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE d.tenant_id = $1`,
    values: [tenant],
  })
  const open = rows.filter(
    ({ status, read }) => status !== 'sent' && status !== 'delivered' && !(status === 'withdrawn' && read),
  )
  return invariant(
    '3 every delivery was sent, or not needed since it was read',
    rows.length,
    open.map((row) => `${row.id} ${row.status}`),
  )
}

/** A device rings once per delivery, and once more at most for each attempt whose outcome nobody knows. */
async function ringsOnce({ database, rung, tenant }: Observed): Promise<Invariant> {
  const { rows } = await database.query<{ id: string; unknown: number }>({
    text: `SELECT delivery_id AS id, count(*) FILTER (WHERE verdict IS NULL OR verdict = 'unknown')::int AS unknown
      FROM attempts WHERE tenant_id = $1 GROUP BY 1`,
    values: [tenant],
  })
  const allowed = new Map(rows.map((row) => [row.id, 1 + row.unknown]))
  const tooOften = [...rung].filter(([id, count]) => count > (allowed.get(id) ?? 1))
  return invariant(
    '3 nothing rings twice without an unknown attempt',
    rung.size,
    tooOften.map(([id, count]) => `${id} ×${count}`),
  )
}

async function chainHolds({ database, journal, tenant }: Observed): Promise<Invariant[]> {
  const verdict = await verifyAudit(database, tenant)
  const problem = verdict.ok ? [] : [`entry ${verdict.sequence}: ${verdict.problem}`]
  const { rows } = await database.query<{ id: string }>({
    text: 'SELECT fact_id AS id FROM audit WHERE tenant_id = $1',
    values: [tenant],
  })
  const kept = new Set(rows.map((row) => row.id))
  return [
    invariant('7 the audit chain verifies', rows.length, problem),
    invariant(
      '7 every audited action is in the chain',
      journal.audited.size,
      [...journal.audited].filter((id) => !kept.has(id)),
    ),
  ]
}

const EXAMPLES = 5

/** The first few of what breaks it are kept. */
export function invariant(name: string, checked: number, broken: readonly string[]): Invariant {
  return { name, checked, broken: broken.length, examples: broken.slice(0, EXAMPLES) }
}

export function tellInvariants(
  invariants: readonly Invariant[],
  out: { write(text: string): unknown },
): void {
  for (const { name, checked, broken, examples } of invariants) {
    out.write(
      `  ${broken === 0 ? pc.green('✓') : pc.red('✗')} ${name} ${pc.dim(`${checked} checked`)}${broken === 0 ? '' : ` ${broken} broken: ${examples.join(', ')}`}\n`,
    )
  }
}
