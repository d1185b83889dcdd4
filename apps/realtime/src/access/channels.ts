import { frameSubject, isToken, liveSubject } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import type { ChannelSpec } from '../stream/channel.js'
import { tagOf } from '../stream/cursor.js'
import type { Identity } from './identity.js'

/** The name of everybody's own channel. */
export const PERSONAL = 'user'
const ROOM = 'room:'

export type ChannelRefusal = 'unknown' | 'denied'

/**
 * What a channel's name means for a user: `user` is their own, `room:<id>` one that their token lists under `rooms`.
 * The tenant always comes from the token, so no name leads into another tenant.
 */
export function resolveChannel(identity: Identity, name: string): ChannelSpec | ChannelRefusal {
  if (name === PERSONAL) return spec(identity.tenant, 'user', identity.userId, name)
  if (!name.startsWith(ROOM)) return 'unknown'
  const room = name.slice(ROOM.length)
  if (!isToken(room)) return 'unknown'
  return identity.rooms.has(room) ? spec(identity.tenant, 'room', room, name) : 'denied'
}

function spec(tenant: string, kind: 'user' | 'room', id: string, name: string): ChannelSpec {
  const storedSubject = frameSubject(tenant, kind, id)
  return {
    name,
    tag: tagOf(sha256(storedSubject)),
    storedSubject,
    liveSubject: liveSubject(tenant, kind, id),
  }
}
