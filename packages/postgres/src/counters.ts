import { plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** One counter of a cap or a throttle: a person, what is counted, a window. */
export interface CounterKey {
  tenant: string
  userId: string
  scope: string
  /** Milliseconds. */
  windowStart: number
  windowEnd: number
}

/**
 * Locks counters until the transaction ends and gives their counts, in the order asked: parallel dispatchers count one
 * after the other and can't overshoot together. Keys must be distinct. Worker role.
 */
export async function lockCounters(tx: Tx, keys: readonly CounterKey[]): Promise<number[]> {
  const sorted = [...keys].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const { rows } = await tx.queryArrays<[string, string, string, number, number]>({
    name: 'dispatch-lock-counters',
    // a counter that is there is written as it is: that locks it, and shows what was committed meanwhile
    text: `INSERT INTO frequency_counters AS c (tenant_id, user_id, scope, window_start, ends_at, count)
      SELECT t, u, s, to_timestamp(w / 1000.0), to_timestamp(e / 1000.0), 0
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::float8[], $5::float8[]) AS k (t, u, s, w, e)
      ON CONFLICT (tenant_id, user_id, scope, window_start) DO UPDATE SET count = c.count
      RETURNING tenant_id, user_id, scope, (extract(epoch FROM window_start) * 1000)::float8, count`,
    values: [...keyColumns(sorted), plainArray(sorted.map((key) => key.windowEnd))],
  })
  const counts = new Map(
    rows.map(([tenant, userId, scope, windowStart, count]) => [
      nameOf({ tenant, userId, scope, windowStart: Math.round(windowStart) }),
      count,
    ]),
  )
  return keys.map((key) => counts.get(nameOf(key)) ?? 0)
}

/** Writes counts that were locked in this transaction. */
export async function writeCounters(
  tx: Tx,
  counters: readonly (CounterKey & { count: number })[],
): Promise<void> {
  if (counters.length === 0) return
  await tx.query({
    name: 'dispatch-write-counters',
    text: `UPDATE frequency_counters AS c SET count = k.n
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::float8[], $5::int[]) AS k (t, u, s, w, n)
      WHERE c.tenant_id = k.t AND c.user_id = k.u AND c.scope = k.s AND c.window_start = to_timestamp(k.w / 1000.0)`,
    values: [...keyColumns(counters), plainArray(counters.map((counter) => counter.count))],
  })
}

function keyColumns(keys: readonly CounterKey[]): string[] {
  return [
    textArray(keys.map((key) => key.tenant)),
    plainArray(keys.map((key) => key.userId)),
    textArray(keys.map((key) => key.scope)),
    plainArray(keys.map((key) => key.windowStart)),
  ]
}

function nameOf(key: Omit<CounterKey, 'windowEnd'>): string {
  return `${key.tenant} ${key.userId} ${key.scope} ${key.windowStart}`
}
