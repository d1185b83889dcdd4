import { frameSubject, HEADERS, type PublicationInfo, STREAMS } from '@carillon/contracts'
import { type Connection, readSubject, type StoredMessage } from '@carillon/jetstream'
import { decodePublisher } from '@carillon/rooms'

export interface StoredPublication {
  /** Place in LIVE. */
  offset: number
  at: string
  data: unknown
  info?: PublicationInfo
}

/** LIVE keeps so many of a room, which are 12 MiB at most. */
const KEPT = 200

/**
 * What was published into a room, oldest first: the last `limit`, or with `since` the first `limit` after that offset.
 * @throws ApiError when LIVE does not answer
 */
export async function readRoom(
  connection: Connection,
  room: { tenant: string; id: string; since: number | undefined; limit: number },
): Promise<StoredPublication[]> {
  const subject = frameSubject(room.tenant, 'room', room.id)
  const fromSequence = (room.since ?? 0) + 1
  const messages = await readSubject(connection, { stream: STREAMS.live, subject, fromSequence, limit: KEPT })
  const wanted = room.since === undefined ? messages.slice(-room.limit) : messages.slice(0, room.limit)
  return wanted.flatMap(publicationOf)
}

/** What isn't JSON was not published by us, and is left out. */
function publicationOf(message: StoredMessage): StoredPublication[] {
  let data: unknown
  try {
    data = JSON.parse(Buffer.from(message.body).toString())
  } catch {
    return []
  }
  const info = decodePublisher(message.headers.get(HEADERS.publisher.toLowerCase()))
  const at = new Date(message.timestampMs).toISOString()
  return [{ offset: message.sequence, at, data, ...(info === undefined ? {} : { info }) }]
}
