import type { Queryable } from './tx.js'

export interface MaintainOptions {
  /** Partitions exist this far ahead, 1 to 90. */
  readonly daysAhead: number
  /** What is older goes; never less than 15, the longest memory of event keys. */
  readonly retainDays: number
  /** Age at which an idempotency key is forgotten, 24 h unless said. */
  readonly idempotencyHours?: number
  /** Age at which the counter of a cap's window goes, 32 days unless said. */
  readonly counterDays?: number
}

export interface Maintained {
  readonly partitionsMade: number
  readonly partitionsDropped: number
  readonly idempotencyKeys: number
  readonly counters: number
}

const BATCH = 5_000

/**
 * One round of upkeep, as the worker role; meant to run every hour or so, by any number of processes at once. Each
 * step commits for itself, deletions in batches of 5,000. A partition in use is dropped by a later round.
 */
export async function maintain(database: Queryable, options: MaintainOptions): Promise<Maintained> {
  return {
    partitionsMade: await number(database, 'SELECT ensure_partitions($1) AS n', options.daysAhead),
    partitionsDropped: await number(database, 'SELECT drop_old_partitions($1) AS n', options.retainDays),
    idempotencyKeys: await deleteAll(
      database,
      `DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM idempotency_keys
         WHERE created_at < now() - make_interval(hours => $1::integer) AND locked_until < now()
         LIMIT $2))`,
      options.idempotencyHours ?? 24,
    ),
    counters: await deleteAll(
      database,
      `DELETE FROM frequency_counters WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM frequency_counters
         WHERE window_start < now() - make_interval(days => $1::integer)
         LIMIT $2))`,
      options.counterDays ?? 32,
    ),
  }
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
