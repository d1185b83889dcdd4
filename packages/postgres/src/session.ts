import type pg from 'pg'
import { DatabaseError, sqlState } from './errors.js'
import type { Result, Statement, Tx } from './tx.js'

/**
 * A connection on loan from the pool, for one transaction or one statement. It goes back only when it is known to
 * be idle and clean; on a break, a silence or an abort it is destroyed, since an answer that arrives late would be
 * read by the next borrower as its own.
 */
export class Session implements Tx {
  readonly #client: pg.PoolClient
  readonly #answerTimeoutMs: number
  #open = true
  #failure: DatabaseError | undefined
  readonly #onEnd = (): void =>
    this.destroy(new DatabaseError('UNAVAILABLE', 'the connection to PostgreSQL was lost'))

  constructor(client: pg.PoolClient, answerTimeoutMs: number) {
    this.#client = client
    this.#answerTimeoutMs = answerTimeoutMs
    client.once('end', this.#onEnd)
  }

  query<R>(statement: Statement): Promise<Result<R>> {
    return this.#run<R>({ ...statement, values: statement.values as unknown[] })
  }

  queryArrays<R extends unknown[]>(statement: Statement): Promise<Result<R>> {
    return this.#run<R>({ ...statement, values: statement.values as unknown[], rowMode: 'array' })
  }

  /** Text without values, which may hold several statements; answers with the last one's command tag. */
  async command(text: string): Promise<string> {
    const result = await this.#answer(this.#client.query(text))
    const last: pg.QueryResult | undefined = Array.isArray(result) ? result.at(-1) : result
    return last?.command ?? ''
  }

  /** Gives the connection back. Idempotent; nothing can be asked through this session any more. */
  release(): void {
    if (!this.#open) return
    this.#open = false
    this.#client.removeListener('end', this.#onEnd)
    this.#client.release()
  }

  /** Cuts the connection; what is running fails with `reason`. Idempotent. */
  destroy(reason: DatabaseError): void {
    if (!this.#open) return
    this.#open = false
    this.#failure = reason
    this.#client.removeListener('end', this.#onEnd)
    this.#client.release(true)
  }

  async #run<R>(query: pg.QueryArrayConfig | pg.QueryConfig): Promise<Result<R>> {
    if (!this.#open) throw this.#failure ?? new DatabaseError('CLOSED', 'the transaction has ended')
    const result = await this.#answer(this.#client.query<R & pg.QueryResultRow>(query))
    return { rows: result.rows, rowCount: result.rowCount ?? 0 }
  }

  async #answer<T>(asked: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      const seconds = this.#answerTimeoutMs / 1000
      this.destroy(new DatabaseError('UNAVAILABLE', `no answer from PostgreSQL in ${seconds} s`))
    }, this.#answerTimeoutMs)
    try {
      return await asked
    } catch (error) {
      if (sqlState(error) !== undefined) throw error
      // the driver may refuse a query before its connection says that it ended; and after a value that can't be
      // written it takes a named statement for prepared that isn't
      this.destroy(new DatabaseError('UNAVAILABLE', 'the connection to PostgreSQL broke', { cause: error }))
      throw isMistake(error) ? error : (this.#failure ?? error)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A value that can't be written is a mistake in the call. */
function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError
}
