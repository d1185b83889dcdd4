import type pg from 'pg'
import type { RideState } from '../ride/ride.js'
import type { Message, ReadMarker } from './conversation.js'

const MESSAGE = `id, ride_id AS "rideId", number, from_id AS "from", client_id AS "clientId", text, at`
const MARKER = `ride_id AS "rideId", user_id AS "by", message_id AS "upTo", number, at`

/** Begins the conversation of the two. */
export async function openConversation(
  client: pg.PoolClient,
  between: { rideId: string; customerId: string; driverId: string },
): Promise<void> {
  await client.query(
    'INSERT INTO rides.conversations (ride_id, customer_id, driver_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [between.rideId, between.customerId, between.driverId],
  )
}

/** Makes the writers of a conversation take turns until the transaction ends. */
export async function lockConversation(client: pg.PoolClient, rideId: string): Promise<void> {
  await client.query('SELECT FROM rides.conversations WHERE ride_id = $1 FOR UPDATE', [rideId])
}

/** What somebody wrote under an id of their own. */
export async function messageByClientId(
  client: pg.PoolClient,
  by: { rideId: string; from: string; clientId: string },
): Promise<Message | undefined> {
  const { rows } = await client.query<Message>(
    `SELECT ${MESSAGE} FROM rides.messages WHERE ride_id = $1 AND from_id = $2 AND client_id = $3`,
    [by.rideId, by.from, by.clientId],
  )
  return rows[0]
}

/** Writes a message under the conversation's next number; the conversation is locked. */
export async function insertMessage(
  client: pg.PoolClient,
  message: Omit<Message, 'number'>,
): Promise<Message> {
  const { rows } = await client.query<Message>(
    `WITH counted AS (UPDATE rides.conversations SET last_number = last_number + 1 WHERE ride_id = $1 RETURNING last_number)
     INSERT INTO rides.messages (ride_id, number, id, from_id, client_id, text, at)
     SELECT $1, last_number, $2, $3, $4, $5, $6 FROM counted RETURNING ${MESSAGE}`,
    [message.rideId, message.id, message.from, message.clientId, message.text, message.at],
  )
  const [written] = rows
  if (written === undefined) throw new Error(`The ride ${message.rideId} has no conversation.`)
  return written
}

/** Messages before a number, newest first. */
export async function messagesBefore(
  pool: pg.Pool,
  page: { rideId: string; before: number; limit: number },
): Promise<Message[]> {
  const { rows } = await pool.query<Message>(
    `SELECT ${MESSAGE} FROM rides.messages WHERE ride_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3`,
    [page.rideId, page.before, page.limit],
  )
  return rows
}

/** Moves somebody's marker on to a message; undefined when it stands there or further, `null` without such a message. */
export async function advanceMarker(
  client: pg.PoolClient,
  marker: { rideId: string; by: string; upTo: string; at: Date },
): Promise<ReadMarker | null | undefined> {
  const found = await client.query<{ number: number }>(
    'SELECT number FROM rides.messages WHERE id = $1 AND ride_id = $2',
    [marker.upTo, marker.rideId],
  )
  const number = found.rows[0]?.number
  if (number === undefined) return null
  const { rows } = await client.query<ReadMarker>(
    `INSERT INTO rides.read_markers AS m (ride_id, user_id, number, message_id, at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (ride_id, user_id) DO UPDATE SET number = $3, message_id = $4, at = $5 WHERE m.number < $3
     RETURNING ${MARKER}`,
    [marker.rideId, marker.by, number, marker.upTo, marker.at],
  )
  return rows[0]
}

/** Where the two have read up to. */
export async function markersOf(pool: pg.Pool, rideId: string): Promise<ReadMarker[]> {
  const { rows } = await pool.query<ReadMarker>(
    `SELECT ${MARKER} FROM rides.read_markers WHERE ride_id = $1`,
    [rideId],
  )
  return rows
}

/** A conversation in somebody's list. */
export interface ConversationSummary {
  rideId: string
  state: RideState
  /** Who is at the other end. */
  withId: string
  withName: string
  from: string
  to: string
  lastMessage: Message | null
  /** Messages of the other one behind one's own marker. */
  unread: number
}

/** Conversations of somebody who may still read them, latest first, and how much is unread in all of them. */
export async function conversationsOf(
  pool: pg.Pool,
  ask: { user: string; completedAfter: Date; limit: number },
): Promise<{ unread: number; conversations: ConversationSummary[] }> {
  const { rows } = await pool.query<Listed>(
    `WITH mine AS (
       SELECT c.ride_id, c.opened_at, r.state, r."from", r."to",
         CASE WHEN c.customer_id = $1 THEN c.driver_id ELSE c.customer_id END AS with_id,
         CASE WHEN c.customer_id = $1 THEN r.driver ELSE r.customer END AS with_name,
         (SELECT count(*)::int FROM rides.messages m WHERE m.ride_id = c.ride_id AND m.from_id <> $1
            AND m.number > coalesce((SELECT k.number FROM rides.read_markers k WHERE k.ride_id = c.ride_id AND k.user_id = $1), 0)) AS unread
       FROM rides.conversations c JOIN rides.rides r ON r.id = c.ride_id
       WHERE (c.customer_id = $1 OR c.driver_id = $1) AND (r.completed_at IS NULL OR r.completed_at > $2))
     SELECT ride_id AS "rideId", state, with_id AS "withId", with_name AS "withName", "from", "to", last."last", unread,
       (SELECT coalesce(sum(unread), 0)::int FROM mine) AS total
     FROM mine LEFT JOIN LATERAL (
       SELECT at, json_build_object('id', id, 'rideId', ride_id, 'number', number, 'from', from_id, 'clientId', client_id, 'text', text, 'at', at) AS "last"
       FROM rides.messages m WHERE m.ride_id = mine.ride_id ORDER BY number DESC LIMIT 1) last ON true
     ORDER BY coalesce(last.at, mine.opened_at) DESC LIMIT $3`,
    [ask.user, ask.completedAfter, ask.limit],
  )
  return { unread: rows[0]?.total ?? 0, conversations: rows.map(summaryOf) }
}

type Listed = Omit<ConversationSummary, 'lastMessage'> & {
  /** As JSON, its moment being text. */
  last: (Omit<Message, 'at'> & { at: string }) | null
  total: number
}

function summaryOf({ total: _, last, ...row }: Listed): ConversationSummary {
  return { ...row, lastMessage: last === null ? null : { ...last, at: new Date(last.at) } }
}
