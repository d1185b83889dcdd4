/** A message of one channel: its place in the stream and the place of the channel's message before it. */
export interface Sequenced {
  readonly sequence: number
  /** 0 when there is none before it. */
  readonly previous: number
}

/** Above this many held messages the rest is left to the next read: the stream has them all. */
const MAX_HELD = 512

/**
 * Puts one channel's live messages and what was read back from the stream into one sequence: each message once, in
 * order, with no gap, whatever was lost, doubled or late on the way. Pure state; the caller reads and delivers.
 *
 * `position` is the sequence up to which nothing of this channel is missing. A live message may follow exactly when
 * the one before it is not beyond the position.
 */
export class Timeline<T extends Sequenced> {
  #position: number
  #head: number
  #held: T[] = []

  constructor(position: number) {
    this.#position = position
    this.#head = position
  }

  get position(): number {
    return this.#position
  }

  /** True when something known to exist has not been delivered: the caller must read from `position + 1`. */
  get missing(): boolean {
    return this.#head > this.#position
  }

  /** Takes a message as it came, and returns what may be delivered now. */
  live(message: T): T[] {
    if (message.sequence <= this.#position) return []
    if (!this.missing && message.previous <= this.#position) {
      this.#position = message.sequence
      this.#head = message.sequence
      return [message]
    }
    if (message.sequence > this.#head) this.#head = message.sequence
    this.#hold(message)
    return this.#release([])
  }

  /**
   * Takes a read that began at or before `position + 1`: every message of the channel from there up to its last, in
   * order. Returns what may be delivered now.
   */
  stored(messages: readonly T[]): T[] {
    const delivered: T[] = []
    for (const message of messages) {
      if (message.sequence <= this.#position) continue
      this.#position = message.sequence
      delivered.push(message)
    }
    if (this.#position > this.#head) this.#head = this.#position
    return this.#release(delivered)
  }

  /** Notes that the stream holds a message of this channel at `sequence`. */
  expect(sequence: number): void {
    if (sequence > this.#head) this.#head = sequence
  }

  /** Moves on when it is proven that this channel has nothing between its position and `position`. */
  advance(position: number): void {
    if (this.missing || position <= this.#position) return
    this.#position = position
    this.#head = position
  }

  /** Begins again at `position`: what was before is not this timeline's any more. */
  reset(position: number): void {
    this.#position = position
    this.#head = position
    this.#held = []
  }

  #hold(message: T): void {
    if (this.#held.length >= MAX_HELD) return
    let index = this.#held.length
    while (index > 0 && (this.#held[index - 1] as T).sequence > message.sequence) index--
    if (index > 0 && this.#held[index - 1]?.sequence === message.sequence) return
    this.#held.splice(index, 0, message)
  }

  #release(delivered: T[]): T[] {
    let taken = 0
    for (const message of this.#held) {
      if (message.sequence > this.#position) {
        if (message.previous > this.#position) break
        this.#position = message.sequence
        delivered.push(message)
      }
      taken++
    }
    if (taken > 0) this.#held.splice(0, taken)
    return delivered
  }
}
