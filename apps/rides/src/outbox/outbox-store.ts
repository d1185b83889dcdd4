import type { EventInput, RoomPublication } from '@carillon/sdk'
import type pg from 'pg'

/** Something said in a channel, by whom, and the key by which Carillon knows a repetition. */
export type Publication = Required<Pick<RoomPublication, 'channel' | 'data' | 'from' | 'idempotencyKey'>>

/** What waits for being published. Of one story, the order counts. */
export type OutboxRow = { id: string; story: string } & (
  | { event: EventInput; publication: null }
  | { event: null; publication: Publication }
)

/** Writes an event into the transaction that makes it true. */
export async function enqueueEvent(client: pg.PoolClient, story: string, event: EventInput): Promise<void> {
  await client.query('INSERT INTO rides.outbox (story, event) VALUES ($1, $2)', [
    story,
    JSON.stringify({ time: new Date().toISOString(), ...event }),
  ])
}

/** Writes what is to be said in a channel into the transaction that makes it true. */
export async function enqueuePublication(
  client: pg.PoolClient,
  story: string,
  publication: Publication,
): Promise<void> {
  await client.query('INSERT INTO rides.outbox (story, publication) VALUES ($1, $2)', [
    story,
    JSON.stringify(publication),
  ])
}

/** What waits behind the row `after`, oldest first. */
export async function waitingRows(
  client: pg.PoolClient,
  page: { after: string; limit: number },
): Promise<OutboxRow[]> {
  const { rows } = await client.query<OutboxRow>(
    'SELECT id, story, event, publication FROM rides.outbox WHERE refused_at IS NULL AND id > $1 ORDER BY id LIMIT $2',
    [page.after, page.limit],
  )
  return rows
}

export async function removeRows(client: pg.PoolClient, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await client.query('DELETE FROM rides.outbox WHERE id = ANY ($1)', [ids])
}

/** Sets a row aside with what is wrong with it: nobody tries it again until somebody says so. */
export async function setAside(client: pg.PoolClient, id: string, problem: string): Promise<void> {
  await client.query('UPDATE rides.outbox SET refused_at = now(), problem = $2 WHERE id = $1', [id, problem])
}

export interface RefusedRow {
  id: string
  story: string
  event: EventInput | null
  publication: Publication | null
  refusedAt: Date
  problem: string
}

/** What was set aside, newest first. */
export async function refusedRows(pool: pg.Pool, limit: number): Promise<RefusedRow[]> {
  const { rows } = await pool.query<RefusedRow>(
    `SELECT id, story, event, publication, refused_at AS "refusedAt", problem FROM rides.outbox
     WHERE refused_at IS NOT NULL ORDER BY refused_at DESC, id DESC LIMIT $1`,
    [limit],
  )
  return rows
}

/** Puts a row that was set aside, or all of them, behind everything that waits. Gives how many. */
export async function tryAgain(pool: pg.Pool, id?: string): Promise<number> {
  const { rowCount } = await pool.query(
    `WITH again AS (DELETE FROM rides.outbox WHERE refused_at IS NOT NULL AND ($1::bigint IS NULL OR id = $1) RETURNING id, story, event, publication)
     INSERT INTO rides.outbox (story, event, publication) SELECT story, event, publication FROM again ORDER BY id`,
    [id],
  )
  return rowCount ?? 0
}

/** Gives a row up that was set aside. False: there is none. */
export async function dropRefused(pool: pg.Pool, id: string): Promise<boolean> {
  const { rowCount } = await pool.query('DELETE FROM rides.outbox WHERE id = $1 AND refused_at IS NOT NULL', [
    id,
  ])
  return rowCount === 1
}
