import { plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** So many sends under one key, of which so many may go a second. */
export interface PaceBooking {
  key: string
  count: number
  perSecond: number
  /** Sends that may go at once after a pause. */
  burst: number
}

/**
 * Books sends one after another under keys that all processes share (the generic cell rate algorithm, ITU-T I.371), and
 * gives the moment of the first of each, milliseconds, in the order asked: send number n of a key goes n / perSecond
 * later. Booked is booked: nobody else gets the slot. Worker role, outside of a longer transaction: the rows are hot.
 */
export async function bookPaces(tx: Pick<Tx, 'query'>, bookings: readonly PaceBooking[]): Promise<number[]> {
  if (bookings.length === 0) return []
  const sorted = [...bookings].sort((a, b) => (a.key < b.key ? -1 : 1))
  const { rows } = await tx.query<{ key: string; untilMs: number }>({
    name: 'delivery-paces',
    text: `WITH n AS (
        SELECT key, make_interval(secs => count / per_second) AS takes, make_interval(secs => burst / per_second) AS slack
        FROM unnest($1::text[], $2::integer[], $3::float8[], $4::float8[]) AS n (key, count, per_second, burst)
      )
      INSERT INTO paces AS p (key, booked_until) SELECT key, clock_timestamp() - slack + takes FROM n
      ON CONFLICT (key) DO UPDATE SET booked_until = greatest(p.booked_until,
        clock_timestamp() - (SELECT slack FROM n WHERE n.key = excluded.key)) + (SELECT takes FROM n WHERE n.key = excluded.key)
      RETURNING key, (extract(epoch FROM booked_until) * 1000)::float8 AS "untilMs"`,
    values: [
      textArray(sorted.map((one) => one.key)),
      plainArray(sorted.map((one) => one.count)),
      plainArray(sorted.map((one) => one.perSecond)),
      plainArray(sorted.map((one) => one.burst)),
    ],
  })
  const ends = new Map(rows.map((row) => [row.key, row.untilMs]))
  return bookings.map((one) => (ends.get(one.key) ?? 0) - (one.count / one.perSecond) * 1000)
}
