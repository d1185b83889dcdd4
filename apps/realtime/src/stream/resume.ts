import type { Channel } from './channel.js'
import type { EncodedFrame } from './encoded-frame.js'
import type { Attachment } from './hub.js'
import type { Position, ResetReason } from './recovery.js'

/** Rounds of reading after which a channel that runs away counts as too far ahead. */
const ROUNDS = 8

/**
 * What a client that stood at `from` has missed, complete at the moment in which the result is there. `compare` brings
 * the channel up to the stream's head.
 */
export async function resume(
  channel: Channel,
  from: Position | 'unknown' | undefined,
  compare: () => Promise<void>,
): Promise<Attachment> {
  if (from === undefined) return start(channel, 'fresh')
  if (from === 'unknown') return start(channel, 'reset', 'unknown')
  const older: EncodedFrame[] = []
  let offset = from.offset
  let checked = false
  for (let round = 0; round < ROUNDS; round++) {
    if (from.epoch !== channel.epoch) return start(channel, 'reset', 'epoch')
    if (offset > channel.position) {
      // another node may have shown the client more than this one has seen
      if (checked) return start(channel, 'reset', 'ahead')
      checked = true
      await compare()
      continue
    }
    const recent = channel.recent(offset)
    if (recent !== undefined) {
      const frames = older.length === 0 ? recent : [...older, ...recent]
      return { channel, epoch: channel.epoch, offset: from.offset, frames, outcome: 'recovered' }
    }
    const back = await channel.backfill(offset)
    if ('lost' in back) return start(channel, 'reset', back.lost)
    for (const frame of back.frames) {
      if (frame.sequence > offset && frame.sequence <= back.covered) older.push(frame)
    }
    offset = Math.max(offset, back.covered)
  }
  return start(channel, 'reset', 'evicted')
}

function start(channel: Channel, outcome: 'fresh' | 'reset', reason?: ResetReason): Attachment {
  return {
    channel,
    epoch: channel.epoch,
    offset: channel.position,
    frames: [],
    outcome,
    ...(reason === undefined ? {} : { reason }),
  }
}
