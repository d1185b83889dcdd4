import type { RedisConnection } from './connection.js'
import { roomKey, roomsKey } from './presence-keys.js'
import { allOf } from './presence-online.js'
import { type PlaceChanges, Places, type PlacesWrite } from './presence-places.js'
import type { WriteReply } from './presence-scripts.js'

export interface WriterOptions {
  node: string
  keepMs: number
  /** Called with what others are to be told of a write, and how many places the room has then. Must not throw. */
  onWritten: (room: string, changes: PlaceChanges, total: number) => void
  /** Called before places are given up to other nodes, which may tell of their end at once. Must not throw. */
  onLosing: () => void
  /** Milliseconds that never go back. */
  now: () => number
}

interface Call {
  places: Places
  write: PlacesWrite
  /** Which of the pipeline's results is the script's. */
  result: number
}

/** Little enough that neither this process nor Redis is held up for more than some milliseconds. */
const OPS_AT_ONCE = 500

/** The places of one node in all rooms, and their way to Redis. */
export class RoomWriter {
  readonly #redis: RedisConnection
  readonly #options: WriterOptions
  readonly #rooms = new Map<string, Places>()
  /** Rooms that Redis has among those of this node, and when their keys were last kept. */
  readonly #keptAt = new Map<Places, number>()
  #dirty = new Set<Places>()

  constructor(redis: RedisConnection, options: WriterOptions) {
    this.#redis = redis
    this.#options = options
  }

  get pending(): boolean {
    return this.#dirty.size > 0
  }

  get places(): number {
    let places = 0
    for (const { size } of this.#rooms.values()) places += size
    return places
  }

  /** Lets a room change; what follows from it is written by the next `flush`. */
  change<T>(room: string, how: (places: Places) => T): T {
    let places = this.#rooms.get(room)
    if (places === undefined) {
      places = new Places(room, this.#options.node)
      this.#rooms.set(room, places)
    }
    const result = how(places)
    if (places.pending) this.#dirty.add(places)
    this.#forgetDone(places)
    return result
  }

  /** Everything is written again; `told`: others have told that everybody left. */
  rewrite(told: boolean): void {
    this.#keptAt.clear()
    for (const places of this.#rooms.values()) {
      places.rewrite(told)
      this.#dirty.add(places)
    }
  }

  /** Has the keys of rooms kept that would end otherwise. */
  keep(): void {
    const before = this.#options.now() - this.#options.keepMs / 3
    for (const [places, at] of this.#keptAt) if (at < before) this.#dirty.add(places)
  }

  /** Writes what is to be written now. One after the other. @throws RedisError `UNAVAILABLE`; nothing is forgotten */
  async flush(): Promise<void> {
    const waiting = [...this.#dirty]
    this.#dirty = new Set()
    let at = 0
    try {
      while (at < waiting.length) {
        const begin = at
        const calls: Omit<Call, 'result'>[] = []
        for (let ops = 0; at < waiting.length && ops < OPS_AT_ONCE; at++) {
          const places = waiting[at] as Places
          const write = places.take(OPS_AT_ONCE - ops)
          const { joins, leaves, losses, goodbyes } = write
          ops += 1 + joins.length + leaves.length + losses.length + goodbyes.length
          calls.push({ places, write })
        }
        if (calls.some(({ write }) => write.losses.length > 0)) this.#options.onLosing()
        await this.#send(calls).catch((error) => {
          at = begin
          throw error
        })
        for (const { places } of calls) if (places.pending) waiting.push(places)
      }
    } catch (error) {
      for (const places of waiting.slice(at)) this.#dirty.add(places)
      throw error
    }
  }

  async #send(taken: Omit<Call, 'result'>[]): Promise<void> {
    const calls: Call[] = []
    try {
      const results = await this.#redis.run((client) => {
        const pipeline = client.pipeline()
        const rooms = roomsKey(this.#options.node)
        for (const { places, write } of taken) {
          const { name, size } = places
          if (size > 0 && !this.#keptAt.has(places))
            pipeline.sadd(rooms, name).pexpire(rooms, this.#options.keepMs)
          calls.push({ places, write, result: pipeline.length })
          const args = places.argumentsOf(write)
          pipeline.presWrite(roomKey(name), this.#options.node, this.#options.keepMs, ...args)
          if (size === 0) pipeline.srem(rooms, name)
        }
        return allOf(pipeline.exec())
      })
      for (const call of calls) this.#settle(call, results[call.result] as WriteReply)
    } catch (error) {
      for (const { places, write } of taken) places.restore(write)
      throw error
    }
  }

  #settle({ places, write }: Call, reply: WriteReply): void {
    this.#keptAt.set(places, this.#options.now())
    const changes = places.settle(write, reply)
    if (places.size === 0) this.#keptAt.delete(places)
    this.#forgetDone(places)
    if (changes.joined.length + changes.left.length > 0)
      this.#options.onWritten(places.name, changes, reply[0])
  }

  #forgetDone(places: Places): void {
    if (places.done && !this.#dirty.has(places) && !this.#keptAt.has(places)) this.#rooms.delete(places.name)
  }
}
