import type { PresenceChanges } from '@carillon/contracts'
import type { Push } from '../protocol/replies.js'
import type { Wire } from '../protocol/wires.js'
import { clientInfo } from '../stream/publisher-info.js'
import type { PresenceRoom, RoomPresence } from './room-presence.js'

/** Who is told of joins and leaves. */
export interface PushTarget {
  readonly wire: Wire
  push(bytes: Buffer): void
}

/** Joins and leaves as pushes of the client protocol. */
export interface PresencePushes {
  /** Tells a client who comes to a room and who leaves it, until the returned way to stop is called. */
  to(room: PresenceRoom, channel: string, target: PushTarget): () => void
}

/** Everybody in a room is told the same: the bytes are made once for each wire. */
export function createPresencePushes(presence: RoomPresence): PresencePushes {
  const encoded = new WeakMap<PresenceChanges, Map<Wire, Buffer>>()
  const bytesOf = (changes: PresenceChanges, channel: string, wire: Wire): Buffer => {
    const made = encoded.get(changes) ?? new Map<Wire, Buffer>()
    encoded.set(changes, made)
    const known = made.get(wire)
    if (known !== undefined) return known
    const pushes = [
      ...changes.joined.map((member): Push => ({ channel, join: { info: clientInfo(member) } })),
      ...changes.left.map((member): Push => ({ channel, leave: { info: clientInfo(member) } })),
    ]
    const bytes = Buffer.concat(pushes.map((push) => wire.encode({ push })))
    made.set(wire, bytes)
    return bytes
  }
  return {
    to: (room, channel, target) =>
      presence.watch(room, (changes) => {
        const bytes = bytesOf(changes, channel, target.wire)
        if (bytes.length > 0) target.push(bytes)
      }),
  }
}
