import type pg from 'pg'
import type { Box, Position } from './track.js'

/** What decides whether a driver's position is taken, and who sees it. */
export interface DriverState {
  online: boolean
  /** Rides that the driver is on now. */
  rides: string[]
}

export async function driverState(pool: pg.Pool, id: string): Promise<DriverState> {
  const { rows } = await pool.query<DriverState>(
    `SELECT coalesce((SELECT online FROM rides.drivers WHERE id = $1), false) AS online,
       ARRAY(SELECT id::text FROM rides.rides WHERE driver_id = $1 AND state IN ('accepted', 'arrived')) AS rides`,
    [id],
  )
  return rows[0] ?? { online: false, rides: [] }
}

export interface DriverChange {
  id: string
  city: string | null
  at: Date
}

/** Puts a driver online, or hears that they still are. Gives the change when it is one. */
export async function goOnline(
  client: pg.PoolClient,
  driver: { id: string; city: string; at: Date },
): Promise<DriverChange | undefined> {
  await client.query('INSERT INTO rides.drivers (id) VALUES ($1) ON CONFLICT DO NOTHING', [driver.id])
  const { rows } = await client.query<DriverChange>(
    `WITH before AS (SELECT id, online FROM rides.drivers WHERE id = $1 FOR UPDATE), changed AS (
       UPDATE rides.drivers d SET online = true, city = $2, seen_at = $3,
         changed_at = CASE WHEN b.online THEN changed_at ELSE $3 END FROM before b WHERE d.id = b.id RETURNING d.id, b.online)
     SELECT id, $2 AS city, $3::timestamptz AS at FROM changed WHERE NOT online`,
    [driver.id, driver.city, driver.at],
  )
  return rows[0]
}

const GOES = 'online = false, lat = NULL, lon = NULL, heading = NULL, speed = NULL, at = NULL'

/** Takes a driver offline and forgets where they are. Undefined: they were offline. */
export async function goOffline(
  client: pg.PoolClient,
  driver: { id: string; at: Date },
): Promise<DriverChange | undefined> {
  const { rows } = await client.query<DriverChange>(
    `UPDATE rides.drivers SET ${GOES}, changed_at = $2 WHERE id = $1 AND online RETURNING id, city, changed_at AS at`,
    [driver.id, driver.at],
  )
  return rows[0]
}

/** Takes those offline who were last heard of before `before`. */
export async function silentGoOffline(
  client: pg.PoolClient,
  when: { before: Date; at: Date },
): Promise<DriverChange[]> {
  const { rows } = await client.query<DriverChange>(
    `UPDATE rides.drivers SET ${GOES}, changed_at = $2
     WHERE online AND seen_at < $1 RETURNING id, city, changed_at AS at`,
    [when.before, when.at],
  )
  return rows
}

/** Keeps the last position of each, if they are online still and it is newer, and that they were heard of. */
export async function savePositions(
  pool: pg.Pool,
  positions: readonly (Position & { driver: string; seenAt: number })[],
): Promise<void> {
  const column = <T>(read: (position: (typeof positions)[number]) => T) => positions.map(read)
  await pool.query(
    `UPDATE rides.drivers d SET lat = p.lat, lon = p.lon, heading = p.heading, speed = p.speed, at = p.at, seen_at = greatest(d.seen_at, p.seen_at)
     FROM unnest($1::text[], $2::float8[], $3::float8[], $4::real[], $5::real[], $6::timestamptz[], $7::timestamptz[])
       AS p(id, lat, lon, heading, speed, at, seen_at)
     WHERE d.id = p.id AND d.online AND (d.at IS NULL OR d.at < p.at)`,
    [
      column((p) => p.driver),
      column((p) => p.lat),
      column((p) => p.lon),
      column((p) => p.heading),
      column((p) => p.speed),
      column((p) => new Date(p.at)),
      column((p) => new Date(p.seenAt)),
    ],
  )
}

/** The last position that was kept of a driver. */
export async function lastPosition(pool: pg.Pool, id: string): Promise<Position | undefined> {
  const { rows } = await pool.query<Omit<Position, 'at'> & { at: Date }>(
    'SELECT lat, lon, heading, speed, at FROM rides.drivers WHERE id = $1 AND at IS NOT NULL',
    [id],
  )
  const [row] = rows
  return row === undefined ? undefined : { ...row, at: row.at.getTime() }
}

/** Drivers who are online, on no ride, and within the box; their positions are seconds old. */
export async function freeDriversWithin(
  pool: pg.Pool,
  { south, north, lons }: Box,
): Promise<{ id: string; lat: number; lon: number }[]> {
  const { rows } = await pool.query<{ id: string; lat: number; lon: number }>(
    `SELECT id, lat, lon FROM rides.drivers d
     WHERE online AND lat BETWEEN $1 AND $2 AND EXISTS (SELECT FROM unnest($3::float8[], $4::float8[]) AS r(west, east) WHERE lon BETWEEN west AND east)
       AND NOT EXISTS (SELECT FROM rides.rides WHERE driver_id = d.id AND state IN ('accepted', 'arrived'))
     LIMIT 1000`,
    [south, north, lons.map(([west]) => west), lons.map(([, east]) => east)],
  )
  return rows
}
