import type { SubscribeResult } from '../../protocol/replies.js'
import type { EncodedFrame } from '../../stream/encoded-frame.js'
import type { Attachment } from '../../stream/hub.js'
import { countWithin, MAX_REPLY_BYTES } from '../../stream/reply-size.js'

/**
 * The protocol's subscribe result for a client that has just joined a stored channel, and what is to be pushed right
 * behind it: the missed publications for which there is no room in a reply.
 */
export function subscribeResult(
  attachment: Attachment,
  wasRecovering: boolean,
): { result: SubscribeResult; behind: readonly EncodedFrame[] } {
  const { frames, epoch, offset } = attachment
  const recovered = attachment.outcome === 'recovered'
  const count = countWithin(MAX_REPLY_BYTES, frames, ({ bytes }) => bytes)
  const publications = frames.slice(0, count).map((frame) => frame.publication)
  return {
    result: {
      recoverable: true,
      positioned: true,
      epoch,
      offset,
      ...(wasRecovering ? { was_recovering: true } : {}),
      // the offset is the client's own: each publication moves it, so a repeated recovery doubles nothing
      ...(recovered ? { recovered: true, publications } : {}),
    },
    behind: recovered ? frames.slice(count) : [],
  }
}
