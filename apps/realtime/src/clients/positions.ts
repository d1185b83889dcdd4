import type { Channel } from '../stream/channel.js'
import { encodeCursor } from '../stream/cursor.js'
import type { Position } from '../stream/recovery.js'

/** Fits no stream: channels that stand in two epochs at once can only be told to begin again. */
const NO_EPOCH = '------'

interface Place extends Position {
  readonly channel: Channel
}

/** Where one reader stands in each of its channels: a handful, so that a list is smaller and quicker than a map. */
export class Positions {
  readonly #places: Place[] = []

  get size(): number {
    return this.#places.length
  }

  get channels(): Channel[] {
    return this.#places.map(({ channel }) => channel)
  }

  set(channel: Channel, { epoch, offset }: Position): void {
    const known = this.#places.find((place) => place.channel === channel)
    if (known === undefined) this.#places.push({ channel, epoch, offset })
    else {
      known.epoch = epoch
      known.offset = offset
    }
  }

  /** Takes the channels' own positions: right for who was given everything that they delivered. */
  catchUp(): void {
    for (const place of this.#places) {
      place.epoch = place.channel.epoch
      place.offset = place.channel.position
    }
  }

  /** The id that resumes all channels from here. */
  cursor(): string {
    let epoch: string | undefined
    for (const place of this.#places) {
      epoch = epoch === undefined || epoch === place.epoch ? place.epoch : NO_EPOCH
    }
    return encodeCursor(epoch ?? NO_EPOCH, this.#places)
  }
}

/** What a reader is told of its channels when it comes. */
export function comings(
  attachments: readonly { channel: { name: string }; outcome: string; reason?: string }[],
): Record<string, { recovered: boolean; reason?: string }> {
  return Object.fromEntries(
    attachments.map(({ channel, outcome, reason }) => [
      channel.name,
      { recovered: outcome === 'recovered', ...(reason === undefined ? {} : { reason }) },
    ]),
  )
}
