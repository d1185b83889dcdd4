import { deviceData, ownIds } from '../device-data.js'
import type { Measured } from '../fit.js'
import { secondsToLive } from '../lifetime.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'
import { shortHash } from '../text.js'

/** Plain bytes that make a body of 4096: 86 header, 16 tag, 1 delimiter are the encryption's. */
const MAX_BYTES = 3993
const MAX_TTL_SECONDS = 28 * 86_400

export interface WebPushPayload {
  body: string
  /** False when there is no title, nor words to make one of: browsers show it empty, or not at all. */
  visible: boolean
  ttlSeconds: number
  urgency: 'high' | 'normal' | 'low'
  /** 32 characters, so that services that decode it can. */
  topic: string | undefined
}

/** How a message for web push is measured: the body before it is encrypted. */
export function webPushMeasured(nowMs: number): Measured<OutgoingTo<'webpush'>, WebPushPayload> {
  return {
    maxBytes: MAX_BYTES,
    build: (candidate) => webPushPayload(candidate, nowMs),
    text: ({ body }) => body,
  }
}

/**
 * Our message as a push service and a browser want it. The body is Declarative Web Push (Safari 18.4 and later show
 * it without a service worker); elsewhere a service worker reads the same JSON. WebKit refuses an empty title and
 * wants `app_badge` and `mutable` beside the notification, not in it.
 */
export function webPushPayload(outgoing: OutgoingTo<'webpush'>, nowMs: number): WebPushPayload {
  const { message } = outgoing
  const topic = message.collapseKey === undefined ? undefined : shortHash(message.collapseKey, 32)
  const { notification: shown, ...rest } = mergeDeep(
    {
      web_push: 8030,
      notification: notification(outgoing, topic ?? outgoing.notificationId),
      ...(message.badge === undefined ? {} : { app_badge: message.badge }),
      mutable: true,
    },
    message.overrides?.webpush,
  )
  const announced = withIds(shown, outgoing)
  return {
    body: JSON.stringify({ ...rest, notification: announced }),
    visible: typeof announced.title === 'string' && announced.title !== '',
    ttlSeconds: secondsToLive(message, nowMs, MAX_TTL_SECONDS),
    urgency: message.priority === 'high' ? 'high' : message.interruption === 'passive' ? 'low' : 'normal',
    topic,
  }
}

function notification(outgoing: OutgoingTo<'webpush'>, tag: string): Record<string, unknown> {
  const { message } = outgoing
  const { actions: _listed, ...data } = deviceData(outgoing)
  const shown: Record<string, unknown> = message.title
    ? { title: message.title, ...(message.body === undefined ? {} : { body: message.body }) }
    : { title: message.body ?? '' }
  shown.navigate = message.url ?? '/'
  shown.tag = tag
  if (message.imageUrl !== undefined) shown.image = message.imageUrl
  if (message.actions?.length) {
    shown.actions = message.actions.map(({ id, title, url }) => ({
      action: id,
      title,
      navigate: url ?? '/',
    }))
  }
  if (message.interruption === 'passive') shown.silent = true
  if (message.interruption === 'critical') shown.requireInteraction = true
  shown.data = data
  return shown
}

/** Overrides may add to what the page gets, but a device acknowledges under our ids. */
function withIds(shown: unknown, outgoing: OutgoingTo<'webpush'>): Record<string, unknown> {
  const fields = typeof shown === 'object' && shown !== null ? (shown as Record<string, unknown>) : {}
  const data = typeof fields.data === 'object' && fields.data !== null ? fields.data : {}
  return { ...fields, data: { ...data, ...ownIds(outgoing) } }
}
