import type { TokenMessage } from 'firebase-admin/messaging'
import { deviceData } from '../device-data.js'
import { secondsToLive } from '../lifetime.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingTo } from '../message.js'
import { shortHash } from '../text.js'

/** Bytes of keys and values that FCM takes. */
export const FCM_MAX_BYTES = 4096
const MAX_TTL_SECONDS = 28 * 86_400
const IMPORTANCE = { passive: 'min', active: 'default', 'time-sensitive': 'high', critical: 'max' } as const
/** Keys that FCM refuses in `data`. */
const RESERVED = /^(from|message_type|collapse_key|notification)$|^(google|gcm)\./

/** Our message as firebase-admin wants it: an Android part, and an APNs part for tokens of iOS apps. */
export function fcmPayload(outgoing: OutgoingTo<'fcm'>, nowMs: number): TokenMessage {
  const { message, address } = outgoing
  const seconds = secondsToLive(message, nowMs, MAX_TTL_SECONDS)
  const data = Object.fromEntries(Object.entries(deviceData(outgoing)).filter(([key]) => !RESERVED.test(key)))
  const built: Record<string, unknown> = {
    data,
    android: {
      priority: message.priority,
      ttl: seconds * 1000,
      ...(message.collapseKey === undefined ? {} : { collapseKey: message.collapseKey }),
      ...(message.silent ? {} : { notification: androidNotification(outgoing) }),
    },
    apns: applePart(outgoing, Math.floor(nowMs / 1000) + seconds),
    ...(message.silent ? {} : { notification: notification(outgoing) }),
    ...(message.analyticsLabel === undefined
      ? {}
      : { fcmOptions: { analyticsLabel: label(message.analyticsLabel) } }),
  }
  const merged = mergeDeep(built, message.overrides?.fcm)
  const { nid, did, rt } = data
  return { ...merged, data: { ...asData(merged.data), nid, did, rt }, token: address.token } as TokenMessage
}

/** The part of a payload that counts against the limit, as JSON. */
export function fcmMeasured(payload: TokenMessage): string {
  const { data, notification, android, apns } = payload
  return JSON.stringify({ data, notification, android: android?.notification, apns: apns?.payload })
}

function asData(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function notification({ message }: OutgoingTo<'fcm'>) {
  return {
    ...(message.title === undefined ? {} : { title: message.title }),
    ...(message.body === undefined ? {} : { body: message.body }),
    ...(message.imageUrl === undefined ? {} : { imageUrl: message.imageUrl }),
  }
}

function androidNotification({ message }: OutgoingTo<'fcm'>) {
  return {
    ...(message.channelId === undefined ? {} : { channelId: message.channelId }),
    ...(message.collapseKey === undefined ? {} : { tag: message.collapseKey }),
    ...(message.badge === undefined ? {} : { notificationCount: message.badge }),
    ...(message.sound === undefined ? {} : { sound: message.sound }),
    ...(message.interruption === undefined ? {} : { priority: IMPORTANCE[message.interruption] }),
  }
}

function applePart({ message }: OutgoingTo<'fcm'>, expiration: number) {
  return {
    headers: {
      'apns-expiration': String(expiration),
      'apns-priority': message.silent || message.priority === 'normal' ? '5' : '10',
      ...(message.silent ? { 'apns-push-type': 'background' } : {}),
      ...(message.collapseKey === undefined
        ? {}
        : { 'apns-collapse-id': shortHash(message.collapseKey, 32) }),
    },
    payload: {
      aps: {
        ...(message.silent ? { contentAvailable: true } : { mutableContent: true }),
        ...(message.badge === undefined ? {} : { badge: message.badge }),
        ...(message.sound === undefined || message.silent ? {} : { sound: message.sound }),
        ...(message.threadId === undefined ? {} : { threadId: message.threadId }),
      },
    },
  }
}

/** Analytics labels are 1 to 50 of `[a-zA-Z0-9-_.~%]`. */
function label(text: string): string {
  return text.replace(/[^a-zA-Z0-9\-_.~%]/g, '_').slice(0, 50)
}
