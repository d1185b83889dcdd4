import type { AuthoriseAnswer, AuthoriseQuestion, ChannelPermission } from '@carillon/sdk'
import type { Ride } from '../ride/ride.js'
import { latestOf, type Rights, rightsIn, roomOf } from './conversation.js'

/** Asked again at least so often: a ride may have ended meanwhile. */
const ROOM_SECONDS = 300
const LATEST_SECONDS = 30

/** The ride whose channel this is; undefined when it is none of a ride. */
export function rideOfChannel(channel: string): string | undefined {
  return /^(?:room|latest):ride-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(channel)?.[1]
}

/**
 * Whether somebody may. The room is read by both until a day after the ride, and written by us alone, since a message
 * has to be kept first. Where the driver is, both see while the ride goes on; there they may also say that they type.
 */
export function answerFor(ride: Ride | undefined, question: AuthoriseQuestion, now: number): AuthoriseAnswer {
  const rights = ride === undefined ? undefined : rightsIn(ride, question.user, now)
  if (ride === undefined || rights === undefined) return { allow: false }
  const latest = question.channel === latestOf(ride.id)
  if (question.action === 'publish') {
    return { allow: latest && rights.write && isTyping(question.data, question.user) }
  }
  if (!(latest ? rights.follow : rights.read)) return { allow: false }
  const expiresInSeconds = latest ? LATEST_SECONDS : secondsOf(rights, now, ROOM_SECONDS)
  return { allow: true, expiresInSeconds, info: { role: rights.role } }
}

function isTyping(data: unknown, user: string): boolean {
  if (typeof data !== 'object' || data === null) return false
  const { type, by } = data as Record<string, unknown>
  return type === 'typing' && by === user
}

/** Seconds for which a right holds, at most `most`, at least one. */
function secondsOf({ readUntil }: Rights, now: number, most: number): number {
  if (readUntil === null) return most
  return Math.max(1, Math.min(most, Math.floor((readUntil.getTime() - now) / 1_000)))
}

/** What a token says for who isn't asked about on NATS. */
export interface ChannelClaim {
  channel: string
  permissions: ChannelPermission[]
  ttlSeconds: number
}

const TOKEN_SECONDS = 3_600
/** Carillon gives none for less. */
const LEAST_TOKEN_SECONDS = 60

/** Channels of a ride that a token of this user opens now. */
export function claimsFor(ride: Ride, rights: Rights, now: number): ChannelClaim[] {
  const room: ChannelClaim = {
    channel: roomOf(ride.id),
    permissions: ['subscribe', 'presence', 'history'],
    ttlSeconds: Math.max(LEAST_TOKEN_SECONDS, secondsOf(rights, now, TOKEN_SECONDS)),
  }
  if (!rights.follow) return [room]
  const latest: ChannelClaim = {
    channel: latestOf(ride.id),
    permissions: ['subscribe'],
    ttlSeconds: TOKEN_SECONDS,
  }
  return [room, latest]
}
