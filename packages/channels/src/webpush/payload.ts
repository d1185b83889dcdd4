import { deviceData } from '../device-data.js'
import { secondsToLive } from '../lifetime.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'
import { shortHash } from '../text.js'

/** Plain bytes that make a body of 4096: 86 header, 16 tag, 1 delimiter are the encryption's. */
export const WEBPUSH_MAX_BYTES = 3993
const MAX_TTL_SECONDS = 28 * 86_400

export interface WebPushPayload {
  body: string
  ttlSeconds: number
  urgency: 'high' | 'normal' | 'low'
  /** 32 characters, so that services that decode it can. */
  topic: string | undefined
}

/**
 * Our message as a push service and a browser want it. The body is Declarative Web Push (Safari 18.4 and later show
 * it without a service worker); elsewhere a service worker reads the same JSON.
 */
export function webPushPayload(outgoing: OutgoingTo<'webpush'>, nowMs: number): WebPushPayload {
  const { message } = outgoing
  const quiet = message.interruption === 'passive'
  const { actions: _listed, ...data } = deviceData(outgoing)
  const body = {
    web_push: 8030,
    notification: {
      title: message.title ?? '',
      ...(message.body === undefined ? {} : { body: message.body }),
      navigate: message.url ?? '/',
      tag: message.collapseKey === undefined ? outgoing.notificationId : shortHash(message.collapseKey, 32),
      ...(message.imageUrl === undefined ? {} : { image: message.imageUrl }),
      ...(message.actions?.length
        ? {
            actions: message.actions.map(({ id, title, url }) => ({
              action: id,
              title,
              navigate: url ?? '/',
            })),
          }
        : {}),
      ...(quiet ? { silent: true } : {}),
      ...(message.interruption === 'critical' ? { requireInteraction: true } : {}),
      data,
    },
    ...(message.badge === undefined ? {} : { app_badge: String(message.badge) }),
    mutable: true,
  }
  return {
    body: JSON.stringify(mergeDeep(body, message.overrides?.webpush)),
    ttlSeconds: secondsToLive(message, nowMs, MAX_TTL_SECONDS),
    urgency: message.priority === 'high' ? 'high' : quiet ? 'low' : 'normal',
    topic: message.collapseKey === undefined ? undefined : shortHash(message.collapseKey, 32),
  }
}
