/** A statement. `name` prepares it on the connection; behind pgbouncer that needs `max_prepared_statements` > 0. */
export interface Statement {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}

export interface Result<R> {
  readonly rows: R[]
  /** Rows returned or changed. */
  readonly rowCount: number
}

export type Row = Record<string, unknown>

/** What runs single statements: a transaction, or the database itself where none is needed. */
export interface Queryable {
  query<R = Row>(statement: Statement): Promise<Result<R>>
}

/**
 * One open transaction. Statements run one after another on its connection. It is dead once the work that got it
 * has returned. After a failed statement every other one fails too, and so does the commit.
 */
export interface Tx extends Queryable {
  /** Rows as arrays in the order of the columns: cheaper than objects where hundreds come back. */
  queryArrays<R extends unknown[]>(statement: Statement): Promise<Result<R>>
}
