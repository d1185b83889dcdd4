import { isRecord, type Params, readPosition } from '../protocol/commands.js'
import type { HistoryResult } from '../protocol/replies.js'
import type { Channel } from './channel.js'
import type { EncodedFrame } from './encoded-frame.js'

const MAX_PUBLICATIONS = 300

/**
 * The protocol's history result: at most `limit` publications after `since`, or the newest first with `reverse`.
 * Without a limit only the position. Undefined when `since` is not of this epoch.
 */
export async function readHistory(channel: Channel, params: Params): Promise<HistoryResult | undefined> {
  const limit = wanted(params.limit)
  const since = isRecord(params.since) ? readPosition(params.since) : undefined
  const { epoch } = channel
  if (since !== undefined && since.epoch !== '' && since.epoch !== epoch) return undefined
  const reverse = params.reverse === true
  const frames = limit === 0 ? [] : await channel.kept(reverse ? 0 : (since?.offset ?? 0))
  // what was read belongs to one of two runs, and nobody can say to which
  if (channel.epoch !== epoch) return undefined
  const chosen = choose(frames, { limit, reverse, since: since?.offset })
  return {
    publications: chosen.map((frame) => frame.publication),
    epoch,
    offset: channel.position,
  }
}

function choose(
  frames: readonly EncodedFrame[],
  how: { limit: number; reverse: boolean; since: number | undefined },
): readonly EncodedFrame[] {
  const { limit, reverse, since } = how
  if (!reverse) return frames.slice(0, limit)
  const before = since === undefined ? frames : frames.filter(({ sequence }) => sequence < since)
  return [...before].reverse().slice(0, limit)
}

/** Negative asks for all that there is. */
function wanted(limit: unknown): number {
  if (typeof limit !== 'number' || !Number.isInteger(limit)) return 0
  return limit < 0 ? MAX_PUBLICATIONS : Math.min(limit, MAX_PUBLICATIONS)
}
