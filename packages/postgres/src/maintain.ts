import type { Queryable } from './tx.js'

export interface MaintainOptions {
  /** Partitions exist this far ahead, 1 to 90. */
  readonly daysAhead: number
  /** What is older goes; never less than 15, the longest memory of event keys. */
  readonly retainDays: number
  /** Age at which an idempotency key is forgotten, 24 h unless said. */
  readonly idempotencyHours?: number
}

export interface Maintained {
  readonly partitionsMade: number
  readonly partitionsDropped: number
  readonly idempotencyKeys: number
  /** Counters, signals, cancels, fan-outs and names of the deleted that nothing asks for any more. */
  readonly leftovers: number
}

const BATCH = 5_000

/**
 * One round of upkeep, as the worker role; meant to run every hour or so, by any number of processes at once. Each
 * step commits for itself, deletions in batches of 5,000. A partition in use is dropped by a later round.
 */
export async function maintain(database: Queryable, options: MaintainOptions): Promise<Maintained> {
  return {
    partitionsMade: await number(database, 'SELECT ensure_partitions($1) AS n', options.daysAhead),
    partitionsDropped: await dropOldPartitions(database, options.retainDays),
    idempotencyKeys: await deleteAll(
      database,
      `DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM idempotency_keys
         WHERE created_at < now() - make_interval(hours => $1::integer) AND locked_until < now()
         LIMIT $2))`,
      options.idempotencyHours ?? 24,
    ),
    leftovers: await deleteLeftovers(database, options.retainDays),
  }
}

/**
 * What still waits keeps its partitions: a run may wait for a year, and is judged with the event that began it. So does
 * what somebody put off, and once it is back, it stays as long as a new one.
 */
async function dropOldPartitions(database: Queryable, retainDays: number): Promise<number> {
  const days = Math.max(retainDays, 15)
  const waiting = await database.query<{ day: string }>({
    text: `SELECT DISTINCT (to_timestamp(('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)::bigint / 1000.0) AT TIME ZONE 'UTC')::date AS day
      FROM runs WHERE id < lowest_id_at(now() - make_interval(days => $1::integer - 1))
        AND (wake_at IS NOT NULL OR snoozed_until IS NOT NULL OR returned_at > now() - make_interval(days => $1::integer)
          OR digest_id IN (SELECT digest_id FROM open_digests))`,
    values: [days],
  })
  const { rows } = await database.query<{ n: number }>({
    text: 'SELECT drop_old_partitions($1, $2::date[]) AS n',
    values: [days, waiting.rows.map(({ day }) => day)],
  })
  return rows[0]?.n ?? 0
}

/** A cancel outlives the longest wait. */
const CANCEL_DAYS = 400
/** Tokens of ours live a day; those that others sign are taken to live no longer than this. */
const DELETED_USER_DAYS = 30

async function deleteLeftovers(database: Queryable, retainDays: number): Promise<number> {
  const aged: readonly [string, string, number][] = [
    ['frequency_counters', 'ends_at < now() - make_interval(days => $1::integer)', 0],
    ['signals', 'first_seen < now() - make_interval(days => $1::integer)', retainDays],
    ['deleted_users', 'at < now() - make_interval(days => $1::integer)', DELETED_USER_DAYS],
    ['cancels', 'at < now() - make_interval(days => $1::integer)', CANCEL_DAYS],
    ['fanouts', 'due_at IS NULL AND created_at < now() - make_interval(days => $1::integer)', retainDays],
  ]
  let all = 0
  for (const [table, old, days] of aged) {
    all += await deleteAll(
      database,
      `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${old} LIMIT $2))`,
      days,
    )
  }
  return all
}

async function number(database: Queryable, text: string, value: number): Promise<number> {
  const { rows } = await database.query<{ n: number }>({ text, values: [value] })
  return rows[0]?.n ?? 0
}

async function deleteAll(database: Queryable, text: string, age: number): Promise<number> {
  let all = 0
  for (;;) {
    const { rowCount } = await database.query({ text, values: [age, BATCH] })
    all += rowCount
    if (rowCount < BATCH) return all
  }
}
