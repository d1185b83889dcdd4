import type { Outcome } from '../https-server.js'
import { type Arriving, actionsFrom, fromData, record } from '../inbox.js'
import { badRequest } from './answers.js'
import type { FcmDevice } from './device.js'
import { parseCondition, TOPIC } from './topics.js'

const MAX_BYTES = 4096
const MAX_TOPIC_BYTES = 2048

/** Whom a message is for: exactly one of these. */
export type FcmTarget =
  | { kind: 'token'; token: string }
  | { kind: 'topic'; topic: string }
  | { kind: 'condition'; isFor(topics: ReadonlySet<string>): boolean }

/** Whom the message is for, or the answer when it can't be told. */
export function targetOf(message: Record<string, unknown>): FcmTarget | { refused: Outcome } {
  const given = ['token', 'topic', 'condition'].filter((key) => message[key] !== undefined)
  if (given.length > 1) {
    return { refused: badRequest('message', 'Only one of token, topic, condition may be set') }
  }
  if (message.topic !== undefined) {
    const topic = String(message.topic)
    if (!TOPIC.test(topic)) return { refused: badRequest('message.topic', 'Invalid topic name') }
    return { kind: 'topic', topic }
  }
  if (message.condition !== undefined) {
    const isFor = parseCondition(String(message.condition))
    if (!isFor) return { refused: badRequest('message.condition', 'Invalid condition expression') }
    return { kind: 'condition', isFor }
  }
  return { kind: 'token', token: String(message.token ?? '') }
}

/** Why FCM refuses what the message carries in a request of `bytes`; undefined when it takes it. */
export function wrongMessage(
  message: Record<string, unknown>,
  target: FcmTarget,
  bytes: number,
): Outcome | undefined {
  const data = record(message.data)
  for (const [key, value] of Object.entries(data)) {
    if (typeof value !== 'string' || /^(from|message_type)$|^(google|gcm)\./.test(key)) {
      return badRequest('message.data', `Invalid data payload key: ${key}`)
    }
  }
  const limit = target.kind === 'token' ? MAX_BYTES : MAX_TOPIC_BYTES
  // a part is not larger than the whole, which is known without writing it again
  if (bytes > limit && sizeOf(message, data) > limit) return badRequest('message', 'Message is too big')
  if (target.kind === 'token' && (target.token.length < 20 || /\s/.test(target.token))) {
    return badRequest('message.token', 'The registration token is not a valid FCM registration token')
  }
  return undefined
}

function sizeOf(message: Record<string, unknown>, data: Record<string, unknown>): number {
  const counted = { data, notification: message.notification, android: record(message.android).notification }
  return Buffer.byteLength(JSON.stringify(counted))
}

/**
 * What the phone shows of it. Firebase draws a notification, which replaces another only by its Android tag; of data
 * alone with words in it the app draws one, under its collapse key or `nid`, as Carillon's helper for Android does.
 */
export function messageFrom(message: Record<string, unknown>, device: FcmDevice): Arriving {
  const data = record(message.data)
  const android = record(message.android)
  const ours = fromData(data)
  const collapseKey = android.collapse_key ? String(android.collapse_key) : undefined
  const common = {
    provider: 'fcm' as const,
    device: device.name,
    to: device.token,
    ...actionsFrom(data),
    ...ours,
    ...(collapseKey === undefined ? {} : { collapseKey }),
    raw: message,
  }
  const activity = activityIn(message)
  if (activity) return { ...common, ...activity }
  const byFirebase = message.notification !== undefined || android.notification !== undefined
  const byApp = !byFirebase && ours.clears === undefined && (isText(data.title) || isText(data.body))
  const shown = { ...record(message.notification), ...record(android.notification) }
  const words = byApp ? data : shown
  const tag = byApp ? (collapseKey ?? ours.nid) : shown.tag
  return {
    ...common,
    title: String(words.title ?? ''),
    body: String(words.body ?? ''),
    ...(byApp && isText(data.subtitle) ? { subtitle: data.subtitle } : {}),
    ...(words.image ? { imageUrl: String(words.image) } : {}),
    silent: !byFirebase && !byApp,
    ...(tag ? { tag: String(tag) } : {}),
  }
}

/** A Live Activity that FCM hands on to APNs: one card for each activity token. */
function activityIn(
  message: Record<string, unknown>,
): Pick<Arriving, 'title' | 'body' | 'silent' | 'tag'> | undefined {
  const apns = record(message.apns)
  const token = apns.live_activity_token ?? apns.liveActivityToken
  if (!isText(token)) return undefined
  const aps = record(record(apns.payload).aps)
  const alert = record(aps.alert)
  return {
    title: String(alert.title ?? 'Live Activity'),
    body: String(alert.body ?? JSON.stringify(aps['content-state'] ?? {})),
    silent: false,
    tag: `activity:${token}`,
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
