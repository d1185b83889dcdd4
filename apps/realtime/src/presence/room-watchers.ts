import { type PresenceChanges, presenceSubject } from '@carillon/contracts'
import { type Connection, type CoreSubscription, subscribeCore } from '@carillon/jetstream'
import type { PresenceRoom } from '@carillon/redis'

type Listener = (changes: PresenceChanges) => void

interface Watched {
  listeners: Set<{ listener: Listener }>
  subscription: CoreSubscription
}

/** A message holds so many members at most: what is said of each may be some kilobytes. */
const MEMBERS_A_MESSAGE = 100

/** Joins and leaves between nodes: heard by who listens now, kept by nobody. */
export class RoomWatchers {
  readonly #connection: Connection
  readonly #onFailure: (error: unknown) => void
  readonly #rooms = new Map<string, Watched>()

  constructor(connection: Connection, onFailure: (error: unknown) => void) {
    this.#connection = connection
    this.#onFailure = onFailure
  }

  /** Rooms listened to. */
  get size(): number {
    return this.#rooms.size
  }

  watch({ tenant, id }: PresenceRoom, listener: Listener): () => void {
    const subject = presenceSubject(tenant, id)
    const watched = this.#rooms.get(subject) ?? this.#begin(subject)
    // an object of its own, so that the same function may listen twice
    const entry = { listener }
    watched.listeners.add(entry)
    return () => {
      watched.listeners.delete(entry)
      if (watched.listeners.size > 0 || this.#rooms.get(subject) !== watched) return
      watched.subscription.stop()
      this.#rooms.delete(subject)
    }
  }

  /** Tells all nodes. What can't be told now isn't told. */
  tell({ tenant, id }: PresenceRoom, { joined, left }: PresenceChanges): void {
    if (this.#connection.closed) return
    const subject = presenceSubject(tenant, id)
    for (let at = 0; at < Math.max(left.length, joined.length); at += MEMBERS_A_MESSAGE) {
      const end = at + MEMBERS_A_MESSAGE
      const part: PresenceChanges = { joined: joined.slice(at, end), left: left.slice(at, end) }
      this.#connection.publishCore(subject, JSON.stringify(part))
    }
  }

  stop(): void {
    for (const { subscription } of this.#rooms.values()) subscription.stop()
    this.#rooms.clear()
  }

  #begin(subject: string): Watched {
    const listeners: Watched['listeners'] = new Set()
    const subscription = subscribeCore(this.#connection, subject, (message) => {
      const changes = this.#read(message.text())
      if (changes !== undefined) for (const { listener } of listeners) listener(changes)
    })
    const watched = { listeners, subscription }
    this.#rooms.set(subject, watched)
    return watched
  }

  /** Another process wrote it. */
  #read(text: string): PresenceChanges | undefined {
    try {
      const { joined, left } = JSON.parse(text) as Partial<PresenceChanges>
      if (Array.isArray(joined) && Array.isArray(left)) return { joined, left }
      throw new Error('A message about presence is none.')
    } catch (error) {
      this.#onFailure(error)
      return undefined
    }
  }
}
