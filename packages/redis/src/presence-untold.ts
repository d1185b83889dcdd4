import type { PlaceChanges, PresenceMember } from './presence-places.js'

/**
 * Changes of rooms that were not told yet. Who came and went in between is told to have left, never to have come:
 * whoever asked for the list meanwhile has seen them there.
 */
export class UntoldChanges {
  readonly #tell: (room: string, changes: PlaceChanges) => void
  #rooms = new Map<string, { joined: Map<string, PresenceMember>; left: PresenceMember[] }>()

  constructor(tell: (room: string, changes: PlaceChanges) => void) {
    this.#tell = tell
  }

  get size(): number {
    return this.#rooms.size
  }

  add(room: string, { joined, left }: PlaceChanges): void {
    let untold = this.#rooms.get(room)
    if (untold === undefined) {
      untold = { joined: new Map(), left: [] }
      this.#rooms.set(room, untold)
    }
    for (const member of left) {
      untold.joined.delete(member.client)
      untold.left.push(member)
    }
    for (const member of joined) untold.joined.set(member.client, member)
  }

  tell(): void {
    const rooms = this.#rooms
    this.#rooms = new Map()
    for (const [room, { joined, left }] of rooms)
      if (joined.size + left.length > 0) this.#tell(room, { joined: [...joined.values()], left })
  }
}
