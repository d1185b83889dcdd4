import type { SubscribeResult } from '../../protocol/replies.js'
import type { EncodedFrame } from '../../stream/encoded-frame.js'
import type { Attachment } from '../../stream/hub.js'
import { splitForReply } from '../../stream/split-for-reply.js'

/**
 * The protocol's subscribe result for a client that has just joined a stored channel, and what is to be pushed right
 * behind it: the missed publications for which there is no room in a reply.
 */
export function subscribeResult(
  attachment: Attachment,
  wasRecovering: boolean,
): { result: SubscribeResult; behind: readonly EncodedFrame[] } {
  const { outcome, epoch, offset } = attachment
  const { publications, behind } = splitForReply(attachment.frames)
  const result = {
    recoverable: true,
    positioned: true,
    epoch,
    offset,
    ...(wasRecovering ? { was_recovering: true } : {}),
    // the offset is the client's own: each publication moves it, so a repeated recovery doubles nothing
    ...(outcome === 'recovered' ? { recovered: true, publications } : {}),
  }
  return { result, behind }
}
