import type pg from 'pg'
import type { Ride, RideState } from './ride.js'

/** The rides service's own tables, in its own schema. Carillon's are never touched. */
export async function createTables(pool: pg.Pool): Promise<void> {
  await pool.query(`
    CREATE SCHEMA IF NOT EXISTS rides;
    CREATE TABLE IF NOT EXISTS rides.rides (
      id uuid PRIMARY KEY, state text NOT NULL, customer_id text NOT NULL, customer text NOT NULL,
      driver_id text, driver text, car text, "from" text NOT NULL, "to" text NOT NULL, city text NOT NULL,
      minutes integer NOT NULL, amount_cents integer NOT NULL, currency text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS rides.outbox (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`)
}

const COLUMNS = `id, state, customer_id AS "customerId", customer, driver_id AS "driverId", driver, car, "from", "to", city,
  minutes, amount_cents AS "amountCents", currency`

/** Writes a new ride and the event that tells of it, together. */
export async function insertRide(client: pg.PoolClient, ride: Ride): Promise<void> {
  await client.query(
    `INSERT INTO rides.rides (id, state, customer_id, customer, driver_id, driver, car, "from", "to", city, minutes, amount_cents, currency)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    [
      ride.id,
      ride.state,
      ride.customerId,
      ride.customer,
      ride.driverId,
      ride.driver,
      ride.car,
      ride.from,
      ride.to,
      ride.city,
      ride.minutes,
      ride.amountCents,
      ride.currency,
    ],
  )
}

/** Moves a ride on, if it is in the state before. Undefined when it isn't there or isn't there yet. */
export async function moveRide(
  client: pg.PoolClient,
  id: string,
  move: { from: RideState; to: RideState; driver?: { id: string; name: string; car: string } },
): Promise<Ride | undefined> {
  const { rows } = await client.query<Ride>(
    `UPDATE rides.rides SET state = $3, driver_id = coalesce($4, driver_id), driver = coalesce($5, driver), car = coalesce($6, car),
       updated_at = now()
     WHERE id = $1 AND state = $2 RETURNING ${COLUMNS}`,
    [id, move.from, move.to, move.driver?.id ?? null, move.driver?.name ?? null, move.driver?.car ?? null],
  )
  return rows[0]
}

export async function findRide(pool: pg.Pool, id: string): Promise<Ride | undefined> {
  const { rows } = await pool.query<Ride>(`SELECT ${COLUMNS} FROM rides.rides WHERE id = $1`, [id])
  return rows[0]
}

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
