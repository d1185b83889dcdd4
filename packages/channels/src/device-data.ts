import type { Message, Outgoing } from './message.js'
import { isHidden } from './visibility.js'

/**
 * What the app gets beside the words: the caller's data, then ours, which win. `nid` and `did` let it replace a
 * duplicate, `rt` lets it acknowledge, `clear` names the notification that it takes off the screen. With `drawn`, the
 * app also gets what it needs to draw the notification itself.
 */
export function deviceData(outgoing: Outgoing, drawn = false): Record<string, string> {
  const { message } = outgoing
  const data: Record<string, string> = { ...message.data }
  if (drawn) addDrawing(data, message)
  if (message.url !== undefined) data.url = message.url
  if (message.actions?.length) data.actions = JSON.stringify(message.actions)
  if (message.clear !== undefined) data.clear = message.clear
  // Platforms refuse a badge in a push that shows nothing; the app sets it.
  if (message.badge !== undefined && isHidden(message)) data.badge = String(message.badge)
  return Object.assign(data, ownIds(outgoing))
}

/** The ids under which a device acknowledges. */
export function ownIds(outgoing: Outgoing): { nid: string; did: string; rt: string } {
  return { nid: outgoing.notificationId, did: outgoing.deliveryId, rt: outgoing.receiptToken }
}

function addDrawing(data: Record<string, string>, message: Message): void {
  const { title, body, subtitle, imageUrl: image, channelId } = message
  for (const [key, text] of Object.entries({ title, body, subtitle, image, channelId })) {
    if (text !== undefined) data[key] = text
  }
}
