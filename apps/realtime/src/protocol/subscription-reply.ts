import type { Attachment } from '../stream/hub.js'

/** The protocol's subscribe result for a client that has just joined a channel. */
export function subscribeResult(attachment: Attachment, wasRecovering: boolean): string {
  const recovered = attachment.outcome === 'recovered'
  let text = `{"recoverable":true,"positioned":true,"epoch":"${attachment.epoch}","offset":${attachment.offset}`
  if (wasRecovering) text += ',"was_recovering":true'
  if (recovered) {
    // the offset is the client's own: each publication moves it, so a repeated recovery doubles nothing
    text += `,"recovered":true,"publications":[${attachment.frames.map((frame) => frame.publication).join(',')}]`
  }
  return `${text}}`
}
