export interface Ringed {
  readonly sequence: number
  readonly bytes: number
}

/**
 * The newest messages of one channel, bounded by number and bytes. It holds every message after `floor`, so a
 * client that stands at or above the floor is served from memory.
 */
export class Ring<T extends Ringed> {
  readonly #maxFrames: number
  readonly #maxBytes: number
  #frames: T[] = []
  #bytes = 0
  #floor: number

  constructor(floor: number, limits: { maxFrames: number; maxBytes: number }) {
    this.#floor = floor
    this.#maxFrames = limits.maxFrames
    this.#maxBytes = limits.maxBytes
  }

  get floor(): number {
    return this.#floor
  }

  get length(): number {
    return this.#frames.length
  }

  /** Adds the next message; the oldest make room. */
  push(frame: T): void {
    this.#frames.push(frame)
    this.#bytes += frame.bytes
    while (this.#frames.length > this.#maxFrames || this.#bytes > this.#maxBytes) {
      const oldest = this.#frames.shift()
      if (oldest === undefined) break
      this.#bytes -= oldest.bytes
      this.#floor = oldest.sequence
    }
  }

  /** Every message after `offset`, or undefined when the ring does not reach back that far. */
  since(offset: number): T[] | undefined {
    if (offset < this.#floor) return undefined
    let index = this.#frames.length
    while (index > 0 && (this.#frames[index - 1] as T).sequence > offset) index--
    return this.#frames.slice(index)
  }

  /** Adds what was read back: every message after `floor` up to the present floor. Ignored when it has no room. */
  extendBack(floor: number, older: readonly T[]): void {
    const fresh = older.filter(({ sequence }) => sequence > floor && sequence <= this.#floor)
    const bytes = fresh.reduce((sum, frame) => sum + frame.bytes, this.#bytes)
    if (floor >= this.#floor || fresh.length + this.#frames.length > this.#maxFrames) return
    if (bytes > this.#maxBytes) return
    this.#frames = [...fresh, ...this.#frames]
    this.#bytes = bytes
    this.#floor = floor
  }

  reset(floor: number): void {
    this.#frames = []
    this.#bytes = 0
    this.#floor = floor
  }
}
