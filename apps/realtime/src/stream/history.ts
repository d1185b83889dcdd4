import { isRecord, type Params, readPosition } from '../protocol/commands.js'
import type { HistoryResult, Publication } from '../protocol/replies.js'
import { MAX_READ } from './backfills.js'
import type { Channel } from './channel.js'
import type { ChannelSpec } from './channel-spec.js'
import { EncodedFrame, frameText } from './encoded-frame.js'
import type { LiveSource } from './live-source.js'
import { PUBLISHER, publisherInfo } from './publisher-info.js'
import { splitForReply } from './split-for-reply.js'

const MAX_PUBLICATIONS = 300
/** An answer over HTTP is not made larger than this by another publication: who doesn't read it leaves it in memory. */
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * The protocol's history result: at most `limit` publications and 512 KiB after `since`, or the newest first with
 * `reverse`. Without a limit only the position. Undefined when `since` is not of this epoch.
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
  return { publications: splitForReply(chosen).publications, epoch, offset: channel.position }
}

export interface HistoryWish {
  limit: number
  reverse: boolean
  /** What came after it, or before it with `reverse`. */
  since: number | undefined
}

/**
 * The same for who is in no channel: it is read from the stream, and no channel is opened and kept for it. It ends at
 * 1 MiB. Undefined when the stream began anew meanwhile.
 */
export async function readStored(
  source: Pick<LiveSource, 'head' | 'read'>,
  spec: ChannelSpec,
  wish: HistoryWish,
): Promise<HistoryResult | undefined> {
  const { limit, reverse, since = 0 } = wish
  const { epoch, lastSequence } = await source.head()
  const stored = await source.read(spec.storedSubject, reverse ? 1 : since + 1, reverse ? MAX_READ : limit)
  if ((await source.head()).epoch !== epoch) return undefined
  const publications: Publication[] = []
  let bytes = 0
  for (const { sequence, body, headers } of choose(stored, wish)) {
    bytes += body.length
    if (bytes > MAX_ANSWER_BYTES) break
    const json = frameText(body)
    if (json === undefined) continue
    const info = publisherInfo(headers.get(PUBLISHER))
    const channel = { name: spec.name, tag: spec.tag, epoch }
    publications.push(new EncodedFrame(channel, { sequence, previous: 0, json, info }).publication)
  }
  return { publications, epoch, offset: Math.max(lastSequence, stored.at(-1)?.sequence ?? 0) }
}

function choose<T extends { readonly sequence: number }>(
  frames: readonly T[],
  how: HistoryWish,
): readonly T[] {
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
