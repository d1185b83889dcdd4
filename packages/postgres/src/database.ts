import pg from 'pg'
import { DatabaseError, isDeadlock, sqlState } from './errors.js'
import { Session } from './session.js'
import type { Queryable, Result, Statement, Tx } from './tx.js'
import { typeParsers } from './types.js'

export interface DatabaseOptions {
  readonly url: string
  /** Connections at most; 10 unless said. */
  readonly max?: number
  readonly applicationName?: string
  /** Longest statement inside a transaction, 30 s unless said; the connection is cut a little later. */
  readonly statementTimeoutMs?: number
  /** Longest wait for a connection, new or from the pool; 5 s unless said. */
  readonly connectTimeoutMs?: number
  /** Hears of connections that break, idle ones too. Must not throw. */
  readonly onError?: (error: Error) => void
}

export interface TransactionOptions {
  readonly readOnly?: boolean
  /** When it fires the connection is cut and the call fails with ABORTED. */
  readonly signal?: AbortSignal
}

export interface DatabaseStats {
  readonly total: number
  readonly idle: number
  /** Callers waiting for a connection. */
  readonly waiting: number
  readonly max: number
  /** Since the start: transactions begun, runs repeated after a deadlock, transactions that failed for good. */
  readonly transactions: number
  readonly retries: number
  readonly failures: number
}

/** A pool of connections under one login. Keeps no session state, so pgbouncer in transaction mode may stand between. */
export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs `work` in one transaction that sees `tenant` and nobody else (request role). Commits when it returns,
   * rolls back when it throws. Throws TENANT, UNAVAILABLE, CLOSED, ABORTED, ROLLED_BACK or the server's error.
   */
  inTenant<T>(tenant: string, work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>
  /**
   * The same without a tenant (worker role). After a deadlock or serialisation failure `work` is run again, up to
   * 8 times with jitter, so it must have no effects outside its transaction.
   */
  inTransaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>
  /** What is wrong, or undefined. Answers within the connect timeout plus two seconds. */
  health(): Promise<string | undefined>
  stats(): DatabaseStats
}

const TENANT = /^[a-z0-9-]{1,64}$/
const MAX_RUNS = 8
const HEALTH_TIMEOUT_MS = 2_000

/** Opens nothing yet: the first statement connects. Disposing waits for what is running. */
export function openDatabase(options: DatabaseOptions): Database {
  const max = options.max ?? 10
  const statementTimeoutMs = Math.ceil(options.statementTimeoutMs ?? 30_000)
  const pool = new pg.Pool({
    connectionString: options.url,
    max,
    application_name: options.applicationName ?? 'carillon',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    keepAlive: true,
    types: typeParsers,
  })
  const report = (error: Error): void => options.onError?.(error)
  // A connection on loan has no listener of the pool's, and an 'error' nobody hears ends the process.
  pool.on('connect', (client) => client.on('error', report))
  // Idle connections: the listener above has reported it already.
  pool.on('error', () => undefined)

  let closing: Promise<void> | undefined
  let transactions = 0
  let retries = 0
  let failures = 0

  const borrow = async (answerTimeoutMs: number): Promise<Session> => {
    if (closing !== undefined) throw new DatabaseError('CLOSED', 'the database is closed')
    try {
      return new Session(await pool.connect(), answerTimeoutMs)
    } catch (error) {
      if (sqlState(error) !== undefined) throw error
      throw new DatabaseError('UNAVAILABLE', 'no connection to PostgreSQL', { cause: error })
    }
  }

  const runOnce = async <T>(
    begin: string,
    work: (tx: Tx) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> => {
    if (signal?.aborted) throw aborted(signal)
    const session = await borrow(statementTimeoutMs + 5_000)
    const onAbort = (): void => session.destroy(aborted(signal))
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await session.command(begin)
      const value = await work(session)
      const outcome = await session.command('COMMIT')
      if (outcome !== 'COMMIT') {
        throw new DatabaseError('ROLLED_BACK', 'a statement had failed, so nothing was committed')
      }
      session.release()
      return value
    } catch (error) {
      await rollBack(session)
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const run = async <T>(
    begin: string,
    work: (tx: Tx) => Promise<T>,
    options: TransactionOptions,
    maxRuns: number,
  ): Promise<T> => {
    transactions++
    for (let count = 1; ; count++) {
      try {
        return await runOnce(begin, work, options.signal)
      } catch (error) {
        if (count >= maxRuns || !isDeadlock(error)) {
          failures++
          throw error
        }
        retries++
        await pauseMs(Math.random() * 10 * 2 ** count)
      }
    }
  }

  const begin = (options: TransactionOptions): string =>
    `BEGIN${options.readOnly ? ' READ ONLY' : ''}; SET LOCAL statement_timeout = ${statementTimeoutMs}`

  return {
    async inTenant(tenant, work, options = {}) {
      if (!TENANT.test(tenant)) throw new DatabaseError('TENANT', 'not the name of a tenant')
      // the name has no quotes: it matched
      const first = `${begin(options)}; SELECT set_config('carillon.tenant', '${tenant}', true)`
      return run(first, work, options, 1)
    },
    async inTransaction(work, options = {}) {
      return run(begin(options), work, options, MAX_RUNS)
    },
    async query<R>(statement: Statement): Promise<Result<R>> {
      const session = await borrow(statementTimeoutMs)
      try {
        return await session.query<R>(statement)
      } finally {
        session.release()
      }
    },
    async health() {
      try {
        const session = await borrow(HEALTH_TIMEOUT_MS)
        try {
          await session.command('SELECT 1')
        } finally {
          session.release()
        }
        return undefined
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
    stats() {
      return {
        total: pool.totalCount,
        idle: pool.idleCount,
        waiting: pool.waitingCount,
        max,
        transactions,
        retries,
        failures,
      }
    },
    async [Symbol.asyncDispose]() {
      closing ??= pool.end()
      await closing
    },
  }
}

/** Ends the transaction and gives the connection back; one that can't even roll back is destroyed. */
async function rollBack(session: Session): Promise<void> {
  try {
    await session.command('ROLLBACK')
    session.release()
  } catch (cause) {
    session.destroy(new DatabaseError('UNAVAILABLE', 'the transaction could not be rolled back', { cause }))
  }
}

function aborted(signal: AbortSignal | undefined): DatabaseError {
  return new DatabaseError('ABORTED', 'the caller gave up', { cause: signal?.reason })
}

function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
