import pg from 'pg'

/**
 * What went wrong on our side of the connection. Errors the server answered with pass through as the driver's own
 * (`code` is the SQLSTATE); judge them with `isTransient`, `isDataError` and `isDeadlock`.
 *
 * UNAVAILABLE: no connection, or it broke or fell silent; whether a running COMMIT took effect is unknown.
 * CLOSED: the database object was disposed, or a transaction was used after its end.
 * ABORTED: the caller's signal fired; nothing was committed.
 * ROLLED_BACK: the work swallowed a failed statement, so the server refused to commit.
 * TENANT: the tenant's name isn't one.
 * LOGIN: a login can't be made as asked, or has rights it must not have.
 * MIGRATION: a migration failed; nothing of it was applied.
 */
export type DatabaseErrorCode =
  | 'UNAVAILABLE'
  | 'CLOSED'
  | 'ABORTED'
  | 'ROLLED_BACK'
  | 'TENANT'
  | 'LOGIN'
  | 'MIGRATION'

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: DatabaseErrorCode

  constructor(code: DatabaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The five-letter code of an error the server answered with. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

// connection lost, rollback by the server, out of resources, operator intervention
const TRANSIENT_CLASSES: ReadonlySet<string> = new Set(['08', '40', '53', '57'])
// lock not available within its timeout; a standby that has not caught up; read-only after a failover
const TRANSIENT_STATES: ReadonlySet<string> = new Set(['55P03', '25006', '25P03', '25P04'])

/** True when the same work may succeed later, unchanged: ask for redelivery. */
export function isTransient(error: unknown): boolean {
  if (error instanceof DatabaseError) return error.code === 'UNAVAILABLE' || error.code === 'CLOSED'
  const state = sqlState(error)
  if (hasNoPartition(error)) return true
  return state !== undefined && (TRANSIENT_CLASSES.has(state.slice(0, 2)) || TRANSIENT_STATES.has(state))
}

/** True when these values can never be written (class 22: data; class 23: constraints): find the row, set it aside. */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error)
  if (hasNoPartition(error)) return false
  return state !== undefined && (state.startsWith('22') || state.startsWith('23'))
}

/** True for a deadlock (40P01) or a serialisation failure (40001): the whole transaction is run again. */
export function isDeadlock(error: unknown): boolean {
  const state = sqlState(error)
  return state === '40P01' || state === '40001'
}

/** "No partition for this row" answers as a check violation without a constraint; the row itself is fine. */
function hasNoPartition(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23514' && error.constraint === undefined
}

/**
 * The database is away: nothing that was being handled is to blame. Consumers hold what they have (the consumer loop
 * knows `transient`) until it is back.
 */
export class DatabaseAway extends Error {
  override readonly name = 'DatabaseAway'
  readonly code = 'DATABASE_AWAY'
  readonly transient = true
}

/** Runs `work` and says of failures that may pass that the database is away. @throws DatabaseAway, or what work threw */
export async function whenThere<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isTransient(error)) throw error
    throw new DatabaseAway(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
