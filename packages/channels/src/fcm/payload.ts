import type { Message as FcmMessage } from 'firebase-admin/messaging'
import { deviceData, ownIds } from '../device-data.js'
import type { Measured } from '../fit.js'
import { secondsToLive } from '../lifetime.js'
import { mergeDeep } from '../merge.js'
import type { OutgoingFor } from '../message.js'
import { isHidden } from '../visibility.js'
import { fcmApplePart, fcmLiveActivityPart } from './apple-part.js'

/** Bytes of keys and values that FCM takes, to one device and to a topic. */
const MAX_BYTES = 4096
const MAX_TOPIC_BYTES = 2048
const MAX_TTL_SECONDS = 28 * 86_400
const IMPORTANCE = { passive: 'min', active: 'default', 'time-sensitive': 'high', critical: 'max' } as const
/** Keys that FCM refuses in `data`. */
const RESERVED = /^(from|message_type|collapse_key|notification)$|^(google|gcm)\./

type ForFcm = OutgoingFor<'fcm'>

/** How a message for FCM is measured: `data`, the words and what is for Android and iOS alone. */
export function fcmMeasured(outgoing: ForFcm, nowMs: number): Measured<ForFcm, FcmMessage> {
  return {
    maxBytes: outgoing.address.kind === 'fcm-topic' ? MAX_TOPIC_BYTES : MAX_BYTES,
    build: (candidate) => fcmPayload(candidate, nowMs),
    text: ({ data, notification, android, apns }) =>
      JSON.stringify({ data, notification, android: android?.notification, apns: apns?.payload }),
  }
}

/** Our message as firebase-admin wants it: an Android part, and an APNs part for iOS apps. */
export function fcmPayload(outgoing: ForFcm, nowMs: number): FcmMessage {
  const { message } = outgoing
  const seconds = secondsToLive(message, nowMs, MAX_TTL_SECONDS)
  const built = outgoing.address.kind === 'fcm-live-activity' ? {} : forDevices(outgoing, nowMs, seconds)
  if (outgoing.address.kind === 'fcm-live-activity') {
    built.apns = fcmLiveActivityPart({ ...outgoing, address: outgoing.address }, nowMs, seconds)
  }
  if (message.analyticsLabel !== undefined) {
    built.fcmOptions = { analyticsLabel: label(message.analyticsLabel) }
  }
  const merged = mergeDeep(built, message.overrides?.fcm)
  merged.data = { ...asData(merged.data), ...ownIds(outgoing) }
  for (const target of ['token', 'topic', 'condition']) delete merged[target]
  return { ...merged, ...targetOf(outgoing) } as unknown as FcmMessage
}

function forDevices(outgoing: ForFcm, nowMs: number, seconds: number): Record<string, unknown> {
  const { message } = outgoing
  const drawn = message.dataOnly === true && !message.silent && message.clear === undefined
  const data = deviceData(outgoing, drawn)
  for (const key of Object.keys(data)) if (RESERVED.test(key)) delete data[key]
  const android: Record<string, unknown> = { priority: message.priority, ttl: seconds * 1000 }
  // FCM keeps four keys for an offline device and holds back bursts of what collapses: a key that names this one
  // notification alone would push others out, and the tag replaces a repetition already.
  if (message.collapseKey !== undefined && message.collapseKey !== outgoing.notificationId) {
    android.collapseKey = message.collapseKey
  }
  const built: Record<string, unknown> = { data, android, apns: fcmApplePart(outgoing, nowMs, seconds) }
  if (!drawn && !isHidden(message)) {
    android.notification = androidNotification(outgoing)
    built.notification = notification(outgoing)
  }
  return built
}

function targetOf({ address }: ForFcm): Record<string, string> {
  if (address.kind !== 'fcm-topic') return { token: address.token }
  return address.topic === undefined ? { condition: address.condition } : { topic: address.topic }
}

function asData(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function notification({ message }: ForFcm) {
  return {
    ...(message.title === undefined ? {} : { title: message.title }),
    ...(message.body === undefined ? {} : { body: message.body }),
    ...(message.imageUrl === undefined ? {} : { imageUrl: message.imageUrl }),
  }
}

/** The tag lets the app find it, and a repeated attempt replace it, on the screen. */
function androidNotification({ message, notificationId }: ForFcm) {
  return {
    tag: message.collapseKey ?? notificationId,
    ...(message.channelId === undefined ? {} : { channelId: message.channelId }),
    ...(message.badge === undefined ? {} : { notificationCount: message.badge }),
    ...(message.sound === undefined ? {} : { sound: message.sound }),
    ...(message.interruption === undefined ? {} : { priority: IMPORTANCE[message.interruption] }),
  }
}

/** Analytics labels are 1 to 50 of `[a-zA-Z0-9-_.~%]`. */
function label(text: string): string {
  return text.replace(/[^a-zA-Z0-9\-_.~%]/g, '_').slice(0, 50)
}
