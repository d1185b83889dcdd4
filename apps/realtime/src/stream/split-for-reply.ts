import { jsonText } from '../protocol/json.js'
import type { Publication } from '../protocol/replies.js'
import type { EncodedFrame } from './encoded-frame.js'

/**
 * Publications in one reply of the client protocol end here: clients of Python take a message of 1 MiB and no more, and
 * come back for the same one for ever.
 */
const MAX_BYTES = 512 * 1024
/** What stands around the parts of a publication. */
const AROUND_BYTES = 64

/** Publications that go into one reply, one in any case, and the frames for which it has no room. */
export function splitForReply(frames: readonly EncodedFrame[]): {
  publications: Publication[]
  behind: readonly EncodedFrame[]
} {
  let bytes = 0
  const full = frames.findIndex((frame, index) => {
    bytes += sizeOf(frame)
    return bytes > MAX_BYTES && index > 0
  })
  const count = full < 0 ? frames.length : full
  return {
    publications: frames.slice(0, count).map((frame) => frame.publication),
    behind: frames.slice(count),
  }
}

/** The key is said twice. */
function sizeOf({ bytes, key = '', info }: EncodedFrame): number {
  const infoBytes = info === undefined ? 0 : Buffer.byteLength(jsonText(info))
  return bytes + 2 * Buffer.byteLength(key) + infoBytes + AROUND_BYTES
}
