import pg from 'pg'

/** Runs `work` in one transaction; a connection that failed is thrown away. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    client.release()
    return result
  } catch (error) {
    client.release(true)
    throw error
  }
}

/** Locks of the whole database that processes of this service take turns with. */
export const LOCKS = { tables: 7_264_001, relay: 7_264_002 } as const

/** True for a lock that was not to be had within `lock_timeout`. */
export function gaveUpWaiting(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === '55P03'
}
