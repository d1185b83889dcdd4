import type { Message } from './message.js'
import { shortHash } from './text.js'
import { isHidden } from './visibility.js'

const MAX_COLLAPSE_BYTES = 64

/**
 * The `aps` of one message as Apple names its fields, for APNs and for iOS apps behind FCM. `mutable-content` lets
 * the notification extension fetch the image and acknowledge delivery. `alert` is left out where it is undefined.
 */
export function apsOf(message: Message, alert: Record<string, string> | undefined): Record<string, unknown> {
  if (isHidden(message)) return { 'content-available': 1 }
  const { badge, sound, threadId, interruption, relevanceScore } = message
  const aps: Record<string, unknown> = alert ? { alert, 'mutable-content': 1 } : { 'mutable-content': 1 }
  if (badge !== undefined) aps.badge = badge
  if (interruption === 'critical') aps.sound = { critical: 1, name: sound ?? 'default', volume: 1 }
  else if (sound !== undefined) aps.sound = sound
  if (threadId !== undefined) aps['thread-id'] = threadId
  if (interruption !== undefined) aps['interruption-level'] = interruption
  if (relevanceScore !== undefined) aps['relevance-score'] = relevanceScore
  if (message.actions?.length) aps.category = message.channelId ?? 'carillon'
  return aps
}

/** The words of an alert. */
export function alertOf(message: Message): Record<string, string> {
  return {
    ...(message.title === undefined ? {} : { title: message.title }),
    ...(message.subtitle === undefined ? {} : { subtitle: message.subtitle }),
    ...(message.body === undefined ? {} : { body: message.body }),
  }
}

/**
 * What a later push replaces on the screen, also a repeated attempt; the app finds the notification by it. Apple
 * takes 64 bytes in a header.
 */
export function collapseIdOf(message: Message, notificationId: string): string {
  const key = message.collapseKey ?? notificationId
  return Buffer.byteLength(key) <= MAX_COLLAPSE_BYTES && /^[\x21-\x7e]+$/.test(key) ? key : shortHash(key, 43)
}
