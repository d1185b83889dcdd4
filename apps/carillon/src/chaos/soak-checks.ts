import { isTerminal } from '@carillon/contracts'
import type { Database } from '@carillon/postgres'
import type { SimulatorCounters } from '@carillon/simulators'
import { type Invariant, invariant } from './invariants.js'
import type { Queued } from './soak-deliveries.js'

export interface SoakObserved {
  database: Database
  tenant: string
  queued: Queued
  /** How often each delivery reached a device or a mailbox. */
  rung: ReadonlyMap<string, number>
  counters: Readonly<Record<'fcm' | 'smtp', SimulatorCounters>>
}

interface Row {
  id: string
  status: 'sent' | 'delivered' | 'failed' | 'queued' | 'sending' | 'retrying'
  reason: string | null
  channel: string
  attempt: number
  unknowns: number
  /** Statuses of its receipts. */
  receipts: string[]
}

/** What must hold of every single delivery once all is quiet. */
export async function checkSoak(observed: SoakObserved): Promise<Invariant[]> {
  const { database, tenant, queued, rung, counters } = observed
  const { rows } = await database.query<Row>({
    text: `SELECT d.id, d.status, d.reason, d.channel, d.attempt_no AS attempt, d.unknowns,
        (SELECT coalesce(array_agg(r.status), '{}') FROM receipts r WHERE r.run_id = d.run_id AND r.delivery_id = d.id) AS receipts
      FROM deliveries d WHERE d.tenant_id = $1 AND d.purpose = 'notify'`,
    values: [tenant],
  })
  const told = (row: Row) =>
    `${row.id} ${row.channel} ${row.status} ${row.reason ?? ''} attempt ${row.attempt}, ${row.unknowns} unknown, told ${row.receipts.join(' ') || 'nothing'}`
  const wrong = (breaks: (row: Row) => boolean) => rows.filter(breaks).map(told)
  const wasSent = ({ status }: Row) => status === 'sent' || status === 'delivered'
  return [
    invariant(
      '3 every delivery is there once, and has ended',
      queued.deliveries,
      rows.length === queued.deliveries
        ? wrong((row) => row.status !== 'sent' && !isTerminal(row.status))
        : [`${rows.length} rows`],
    ),
    invariant(
      '3 what was sent has rung',
      rows.filter(wasSent).length,
      wrong((row) => wasSent(row) && !rung.has(row.id)),
    ),
    invariant(
      '3 what has rung was sent, or its last attempt is unknown',
      rung.size,
      wrong((row) => rung.has(row.id) && !wasSent(row) && row.unknowns === 0),
    ),
    invariant(
      '3 dead phones fail as dead phones, and nothing else fails',
      queued.dead.size,
      wrong((row) => (queued.dead.has(row.id) ? row.reason !== 'ADDRESS_INVALID' : row.status === 'failed')),
    ),
    invariant(
      '3 nothing rings twice without an unknown attempt',
      rung.size,
      rows
        .filter((row) => (rung.get(row.id) ?? 0) > 1 + row.unknowns)
        .map((row) => `${row.id} ×${rung.get(row.id)} after ${row.unknowns} unknown`),
    ),
    invariant(
      '3 no phone shows one twice',
      counters.fcm.received,
      counters.fcm.shownTwice === 0 ? [] : [`${counters.fcm.shownTwice} shown twice`],
    ),
    invariant(
      '3 every end was told once',
      rows.length,
      wrong((row) => !row.receipts.includes(wasSent(row) ? 'accepted' : 'failed')),
    ),
  ]
}

/** How often something was sent again that had rung before: what a device collapsed. */
export function repeatsOf(rung: ReadonlyMap<string, number>): number {
  let repeats = 0
  for (const count of rung.values()) repeats += count - 1
  return repeats
}

/** What attempts came to: verdict and reason, and how often. */
export async function attemptsOf(
  database: Database,
  tenant: string,
): Promise<{ verdict: string; count: number }[]> {
  const { rows } = await database.query<{ verdict: string; count: number }>({
    text: `SELECT concat_ws(' ', provider, coalesce(verdict, 'unfinished'), reason) AS verdict, count(*)::int AS count
      FROM attempts WHERE tenant_id = $1 GROUP BY 1 ORDER BY 2 DESC`,
    values: [tenant],
  })
  return rows
}
