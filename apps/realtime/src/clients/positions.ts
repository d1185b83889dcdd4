import type { Channel } from '../stream/channel.js'
import { encodeCursor } from '../stream/cursor.js'
import type { Position } from '../stream/recovery.js'

/** Fits no stream: channels that stand in two epochs at once can only be told to begin again. */
const NO_EPOCH = '------'

/** Where one reader stands in each of its channels. */
export class Positions {
  readonly #positions = new Map<Channel, Position>()

  get size(): number {
    return this.#positions.size
  }

  get channels(): IterableIterator<Channel> {
    return this.#positions.keys()
  }

  set(channel: Channel, position: Position): void {
    this.#positions.set(channel, position)
  }

  /** Takes the channels' own positions: right for who was given everything that they delivered. */
  catchUp(): void {
    for (const channel of this.#positions.keys()) {
      this.#positions.set(channel, { epoch: channel.epoch, offset: channel.position })
    }
  }

  /** The id that resumes all channels from here. */
  cursor(): string {
    let epoch: string | undefined
    const entries = []
    for (const [channel, position] of this.#positions) {
      epoch = epoch === undefined || epoch === position.epoch ? position.epoch : NO_EPOCH
      entries.push({ tag: channel.tag, offset: position.offset })
    }
    return encodeCursor(epoch ?? NO_EPOCH, entries)
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
