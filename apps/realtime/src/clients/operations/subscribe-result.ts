import type { SubscribeResult } from '../../protocol/replies.js'
import type { Attachment } from '../../stream/hub.js'

/** The protocol's subscribe result for a client that has just joined a stored channel. */
export function subscribeResult(attachment: Attachment, wasRecovering: boolean): SubscribeResult {
  const recovered = attachment.outcome === 'recovered'
  return {
    recoverable: true,
    positioned: true,
    epoch: attachment.epoch,
    offset: attachment.offset,
    ...(wasRecovering ? { was_recovering: true } : {}),
    // the offset is the client's own: each publication moves it, so a repeated recovery doubles nothing
    ...(recovered
      ? { recovered: true, publications: attachment.frames.map((frame) => frame.publication) }
      : {}),
  }
}
