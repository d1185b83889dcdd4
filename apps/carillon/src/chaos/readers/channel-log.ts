/** A place in LIVE; the epoch is undefined while a reader can't tell it. */
export interface Place {
  epoch: string | undefined
  offset: number
}

/** One frame as a reader saw it. */
export interface Seen {
  offset: number
  /** What it said: two frames that say the same are the same. */
  what: string
  /** Milliseconds of this process' clock. */
  at: number
}

/** What a reader saw of a channel without being told that something may be missing, over all of its connections. */
export interface Stretch {
  epoch: string | undefined
  /** Whatever comes after this place belongs into it. */
  from: number
  began: number
  seen: Seen[]
  /** How it ended; absent for the last one. */
  reset?: { reason: string; at: number }
}

/** What one reader saw of one channel, from the first connection to the last. */
export class ChannelLog {
  readonly stretches: Stretch[] = []

  get last(): Stretch | undefined {
    return this.stretches.at(-1)
  }

  /** The first connection, at this place. */
  begin(place: Place): void {
    this.stretches.push({ epoch: place.epoch, from: place.offset, began: performance.now(), seen: [] })
  }

  /** A frame. In another epoch than the one before it begins a stretch that nobody announced. */
  see(place: Place, what: string): void {
    if (this.last === undefined || !this.#fits(place.epoch))
      this.begin({ ...place, offset: place.offset - 1 })
    this.last?.seen.push({ offset: place.offset, what, at: performance.now() })
  }

  /** The reader was told to fetch the state again; what follows begins at this place. */
  reset(reason: string, place: Place): void {
    if (this.last !== undefined) this.last.reset = { reason, at: performance.now() }
    this.begin(place)
  }

  #fits(epoch: string | undefined): boolean {
    const { last } = this
    if (last === undefined || epoch === undefined) return true
    last.epoch ??= epoch
    return last.epoch === epoch
  }
}
