import type { EventInput, Publisher } from '@carillon/sdk'
import type { Logger } from '@carillon/service'
import type pg from 'pg'

/** Writes an event into the transaction that makes it true. */
export async function enqueue(client: pg.PoolClient, event: EventInput): Promise<void> {
  await client.query('INSERT INTO rides.outbox (event) VALUES ($1)', [JSON.stringify(event)])
}

/** Publishes what stands in the outbox, oldest first, and deletes it once Carillon has it on disk. */
export interface Relay extends AsyncDisposable {
  /** Publishes everything there is now. Calls meet: one pass runs at a time. */
  flush(): Promise<void>
}

const BATCH = 100
const EVERY_MS = 5_000

export function startRelay(pool: pg.Pool, publisher: Publisher, logger: Logger): Relay {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const pass = (): Promise<void> => {
    running = relayAll(pool, publisher).finally(() => {
      running = undefined
    })
    return running
  }
  const flush = (): Promise<void> => {
    if (running === undefined) return pass()
    // a pass under way may have looked before the caller's row was there: one more comes after it, for all who wait
    next ??= Promise.allSettled([running]).then(() => {
      next = undefined
      return pass()
    })
    return next
  }
  // what a crash left behind goes out without waiting for the next ride
  const timer = setInterval(() => {
    flush().catch((error: unknown) => logger.warn({ err: error }, 'outbox.postponed'))
  }, EVERY_MS)
  return {
    flush,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await running?.catch((error: unknown) => logger.warn({ err: error }, 'outbox.postponed'))
    },
  }
}

async function relayAll(pool: pg.Pool, publisher: Publisher): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ id: string; event: EventInput }>(
      'SELECT id, event FROM rides.outbox ORDER BY id LIMIT $1',
      [BATCH],
    )
    if (rows.length === 0) return
    await publisher.publishAll(rows.map((row) => row.event))
    await pool.query('DELETE FROM rides.outbox WHERE id = ANY ($1)', [rows.map((row) => row.id)])
  }
}
