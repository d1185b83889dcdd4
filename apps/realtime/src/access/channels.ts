import { frameSubject, liveSubject } from '@carillon/contracts'
import { sha256 } from '@carillon/service'
import type { ChannelSpec } from '../stream/channel-spec.js'
import { tagOf } from '../stream/cursor.js'

/** The name of everybody's own channel. */
export const PERSONAL = 'user'

/** Where a user's own channel is. */
export function personalChannel(identity: { tenant: string; userId: string }): ChannelSpec {
  return spec(identity.tenant, 'user', identity.userId, PERSONAL)
}

/** Where a room is. The tenant always comes from the token, so no name leads into another tenant. */
export function roomChannel(tenant: string, room: { id: string; name: string }): ChannelSpec {
  return spec(tenant, 'room', room.id, room.name)
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
