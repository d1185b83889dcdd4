import { randomUUID } from 'node:crypto'
import { HttpProblem } from '@carillon/service'
import type pg from 'pg'
import { inTransaction } from '../database.js'
import { enqueueEvent, enqueuePublication } from '../outbox/outbox-store.js'
import type { Ride } from '../ride/ride.js'
import { holdRide } from '../ride/ride-store.js'
import { advanceMarker, insertMessage, lockConversation, messageByClientId } from './chat-store.js'
import {
  type Message,
  messageFrame,
  messageSent,
  messagesRead,
  type ReadMarker,
  type Rights,
  readFrame,
  rightsIn,
  roomOf,
} from './conversation.js'

/** What somebody does in a ride's conversation. */
interface Act {
  rideId: string
  user: string
  /** Milliseconds. */
  now: number
}

/**
 * Writes a message, what the room is told of it and its event in one transaction. The same client id with the same text
 * is the same message. @throws HttpProblem for who may not, and for a client id that has another text
 */
export async function writeMessage(
  pool: pg.Pool,
  act: Act & { clientId: string; text: string },
): Promise<{ message: Message; created: boolean }> {
  const { rideId, user, now, clientId, text } = act
  return inTransaction(pool, async (client) => {
    const { ride, rights } = allowed(await holdRide(client, rideId), act)
    await lockConversation(client, rideId)
    const known = await messageByClientId(client, { rideId, from: user, clientId })
    if (known !== undefined) {
      if (known.text === text) return { message: known, created: false }
      throw new HttpProblem(409, 'CLIENT_ID_USED', 'Another message has this clientId.', {
        field: 'clientId',
      })
    }
    if (!rights.write) throw closed()
    const message = await insertMessage(client, {
      id: randomUUID(),
      rideId,
      from: user,
      clientId,
      text,
      at: new Date(now),
    })
    await enqueuePublication(client, rideId, {
      channel: roomOf(rideId),
      data: messageFrame(message),
      from: user,
      idempotencyKey: message.id,
    })
    await enqueueEvent(client, rideId, messageSent(ride, message))
    return { message, created: true }
  })
}

/** Moves somebody's read marker on, and tells the room and Carillon. Undefined: it stood there already, or further. */
export async function markRead(pool: pg.Pool, act: Act & { upTo: string }): Promise<ReadMarker | undefined> {
  const { rideId, user, now, upTo } = act
  return inTransaction(pool, async (client) => {
    const { ride, rights } = allowed(await holdRide(client, rideId), act)
    const marker = await advanceMarker(client, { rideId, by: user, upTo, at: new Date(now) })
    if (marker === null) {
      throw new HttpProblem(404, 'MESSAGE_UNKNOWN', 'The ride has no such message.', { field: 'upTo' })
    }
    if (marker === undefined) return undefined
    await enqueuePublication(client, rideId, {
      channel: roomOf(rideId),
      data: readFrame(marker),
      from: user,
      // not the user's name: not every name can be a key
      idempotencyKey: `${upTo}.read.${rights.role}`,
    })
    await enqueueEvent(client, rideId, messagesRead(ride, marker))
    return marker
  })
}

/** A ride that this user may read of. @throws HttpProblem */
export function allowed(
  ride: Ride | undefined,
  { user, now }: Pick<Act, 'user' | 'now'>,
): { ride: Ride; rights: Rights } {
  const rights = ride === undefined ? undefined : rightsIn(ride, user, now)
  // whoever has no part in a ride needn't learn that there is one
  if (ride === undefined || rights === undefined) {
    throw new HttpProblem(404, 'RIDE_UNKNOWN', 'You have no such ride.')
  }
  if (ride.driverId === null) {
    throw new HttpProblem(409, 'CONVERSATION_NOT_OPEN', 'The conversation begins when a driver accepts.')
  }
  if (!rights.read) throw new HttpProblem(410, 'CONVERSATION_OVER', 'The ride was over a day ago.')
  return { ride, rights }
}

function closed(): HttpProblem {
  return new HttpProblem(409, 'CONVERSATION_CLOSED', 'The ride is over; the conversation can only be read.')
}
