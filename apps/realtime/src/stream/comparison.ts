import type { ResetReason, StreamHead } from './recovery.js'

/** What a comparison with the stream needs of a channel. */
export interface Comparable {
  readonly epoch: string
  readonly position: number
  /** False while it looks for its start. */
  readonly settled: boolean
  /** Why it has no position. */
  readonly lost: ResetReason | undefined
  /** Sequence of its newest stored message, 0 when it has none. */
  lastStored(): Promise<number>
  /** Reads until it has everything up to there, or gives up for now. */
  reach(sequence: number): Promise<void>
  /** Nothing of it lies between its position and there. */
  advance(sequence: number): void
  rebase(reason: ResetReason): Promise<void>
}

/** What a channel found when it looked at the stream. */
export interface Look {
  /** Of the stream, before. */
  head: StreamHead
  /** The channel's own last sequence, read after it. */
  last: number
  /** Where the channel stood at the end. */
  position: number
}

/**
 * Reads what the stream has and the channel has not. `head` was read just before. Gives what `conclude` needs;
 * undefined when there is nothing to conclude.
 */
export async function look(channel: Comparable, head: StreamHead): Promise<Look | undefined> {
  const wrong = head.epoch === channel.epoch ? channel.lost : 'epoch'
  if (wrong !== undefined) {
    await channel.rebase(wrong)
    return undefined
  }
  const last = await channel.lastStored()
  if (channel.epoch !== head.epoch || !channel.settled) return undefined
  if (last > channel.position) await channel.reach(last)
  return { head, last, position: channel.position }
}

/** Moves on to the head that was looked at, or begins again. `after` was read since the look. */
export async function conclude(channel: Comparable, found: Look, after: StreamHead): Promise<void> {
  const { head, last, position } = found
  if (channel.epoch !== head.epoch || !channel.settled) return
  // what the stream has not reached is a place in another one
  if (after.epoch !== head.epoch || after.lastSequence < position) return channel.rebase('epoch')
  // what was evicted before it was seen shows nowhere else; while a message of the channel is kept, all later ones are
  const shrinks = head.shrinks || after.shrinks
  if (last === 0 && shrinks && after.firstSequence - 1 > position) return channel.rebase('evicted')
  // `last` was read after the head, so nothing of this channel lies between the two
  if (channel.position >= last) channel.advance(head.lastSequence)
}
