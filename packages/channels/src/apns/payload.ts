import { randomUUID } from 'node:crypto'
import { deviceData } from '../device-data.js'
import { secondsToLive } from '../lifetime.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'
import { shortHash } from '../text.js'

/** Bytes of a notification's JSON. */
export const APNS_MAX_BYTES = 4096
const MAX_TTL_SECONDS = 30 * 86_400
const MAX_COLLAPSE_BYTES = 64

export interface ApnsPayload {
  headers: Record<string, string | number>
  body: string
}

/** Our message as APNs wants it. `apns-id` is new on every attempt; `did` in the body is the same. */
export function apnsPayload(outgoing: OutgoingTo<'apns'>, bundleId: string, nowMs: number): ApnsPayload {
  const { message } = outgoing
  const seconds = secondsToLive(message, nowMs, MAX_TTL_SECONDS)
  const collapseId = message.collapseKey
  const headers: Record<string, string | number> = {
    'apns-topic': bundleId,
    'apns-push-type': message.silent ? 'background' : 'alert',
    // Apple refuses a background push with priority 10.
    'apns-priority': message.silent || message.priority === 'normal' ? 5 : 10,
    'apns-expiration': seconds === 0 ? 0 : Math.floor(nowMs / 1000) + seconds,
    'apns-id': randomUUID(),
  }
  if (collapseId !== undefined) {
    const short = Buffer.byteLength(collapseId) <= MAX_COLLAPSE_BYTES && /^[\x21-\x7e]+$/.test(collapseId)
    headers['apns-collapse-id'] = short ? collapseId : shortHash(collapseId, 43)
  }
  const built = {
    aps: message.silent ? { 'content-available': 1 } : aps(outgoing),
    ...(message.imageUrl === undefined || message.silent ? {} : { image: message.imageUrl }),
  }
  const body = mergeDeep({ ...built, ...withoutAps(deviceData(outgoing)) }, message.overrides?.apns)
  return { headers, body: JSON.stringify(body) }
}

/** `mutable-content` lets the notification extension fetch the image and acknowledge delivery. */
function aps({ message }: OutgoingTo<'apns'>): Record<string, unknown> {
  const critical = message.interruption === 'critical'
  return {
    alert: {
      ...(message.title === undefined ? {} : { title: message.title }),
      ...(message.subtitle === undefined ? {} : { subtitle: message.subtitle }),
      ...(message.body === undefined ? {} : { body: message.body }),
    },
    'mutable-content': 1,
    ...(message.badge === undefined ? {} : { badge: message.badge }),
    ...(critical
      ? { sound: { critical: 1, name: message.sound ?? 'default', volume: 1 } }
      : message.sound === undefined
        ? {}
        : { sound: message.sound }),
    ...(message.threadId === undefined ? {} : { 'thread-id': message.threadId }),
    ...(message.interruption === undefined ? {} : { 'interruption-level': message.interruption }),
    ...(message.actions?.length ? { category: message.channelId ?? 'carillon' } : {}),
  }
}

function withoutAps({ aps: _reserved, ...data }: Record<string, string>): Record<string, string> {
  return data
}
