import type { EventInput } from '@carillon/sdk'
import { isUnderWay, type Ride } from '../ride/ride.js'

/** How long the two can read what they wrote once the ride is over. */
export const READABLE_AFTER_MS = 24 * 60 * 60 * 1_000

/** What somebody may do in the conversation of a ride. */
export interface Rights {
  role: 'customer' | 'driver'
  read: boolean
  write: boolean
  /** See the driver move. */
  follow: boolean
  /** Until then one may read; null while the ride goes on. */
  readUntil: Date | null
}

/** Rights of a user; undefined for who has no part in the ride. A conversation begins when a driver accepts. */
export function rightsIn(
  ride: Pick<Ride, 'state' | 'customerId' | 'driverId' | 'completedAt'>,
  user: string,
  now: number,
): Rights | undefined {
  const role = user === ride.customerId ? 'customer' : user === ride.driverId ? 'driver' : undefined
  if (role === undefined) return undefined
  const open = isUnderWay(ride.state)
  const readUntil =
    ride.completedAt === null ? null : new Date(ride.completedAt.getTime() + READABLE_AFTER_MS)
  return {
    role,
    read: ride.driverId !== null && (readUntil === null || now < readUntil.getTime()),
    write: open,
    follow: open,
    readUntil,
  }
}

/** What one of the two wrote. `number` counts from 1 within the conversation, without a gap. */
export interface Message {
  id: string
  rideId: string
  number: number
  from: string
  /** The writer's own id of it; the same again is the same message. */
  clientId: string
  text: string
  at: Date
}

/** Up to where somebody has read. */
export interface ReadMarker {
  rideId: string
  by: string
  upTo: string
  number: number
  at: Date
}

/** The ride's room: conversation, read markers. Stored by Carillon for a while, resumable. */
export function roomOf(rideId: string): string {
  return `room:ride-${rideId}`
}

/** What is only worth something now: where the driver is, who is typing. Nobody stores it. */
export function latestOf(rideId: string): string {
  return `latest:ride-${rideId}`
}

/** A message as the room sees it. */
export function messageFrame({ id, number, from, clientId, text, at }: Message) {
  return { type: 'message', id, number, from, clientId, text, at: at.toISOString() } as const
}

/** A read marker as the room sees it. */
export function readFrame({ by, upTo, number, at }: ReadMarker) {
  return { type: 'read', by, upTo, number, at: at.toISOString() } as const
}

/** The event of a message: it rings whoever it was written to, if they are away. */
export function messageSent(ride: Ride, message: Message): EventInput & { id: string } {
  const byCustomer = message.from === ride.customerId
  return {
    id: message.id,
    type: 'rides.message.sent.v1',
    subject: ride.id,
    time: message.at,
    data: {
      rideId: ride.id,
      city: ride.city,
      messageId: message.id,
      from: message.from,
      fromName: byCustomer ? ride.customer : ride.driver,
      to: byCustomer ? ride.driverId : ride.customerId,
      toRole: byCustomer ? 'driver' : 'customer',
      text: message.text,
    },
  }
}

/** The event of a read marker: what has not rung yet needn't any more. */
export function messagesRead(ride: Ride, marker: ReadMarker): EventInput & { id: string } {
  return {
    id: `${marker.upTo}.read.${marker.by}`,
    type: 'rides.message.read.v1',
    subject: ride.id,
    time: marker.at,
    data: { rideId: ride.id, city: ride.city, by: marker.by, upTo: marker.upTo },
  }
}
