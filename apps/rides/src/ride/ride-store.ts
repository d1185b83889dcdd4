import type pg from 'pg'
import type { Ride, RideState } from './ride.js'

const COLUMNS = `id, state, customer_id AS "customerId", customer, driver_id AS "driverId", driver, car, "from", "to", city,
  minutes, amount_cents AS "amountCents", currency, completed_at AS "completedAt"`

/** Writes a new ride. */
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
       completed_at = CASE WHEN $3 = 'completed' THEN now() ELSE completed_at END, updated_at = now()
     WHERE id = $1 AND state = $2 RETURNING ${COLUMNS}`,
    [id, move.from, move.to, move.driver?.id ?? null, move.driver?.name ?? null, move.driver?.car ?? null],
  )
  return rows[0]
}

export async function findRide(pool: pg.Pool, id: string): Promise<Ride | undefined> {
  const { rows } = await pool.query<Ride>(`SELECT ${COLUMNS} FROM rides.rides WHERE id = $1`, [id])
  return rows[0]
}

/** Reads a ride that stays as it is until the transaction ends. */
export async function holdRide(client: pg.PoolClient, id: string): Promise<Ride | undefined> {
  const { rows } = await client.query<Ride>(`SELECT ${COLUMNS} FROM rides.rides WHERE id = $1 FOR SHARE`, [
    id,
  ])
  return rows[0]
}
