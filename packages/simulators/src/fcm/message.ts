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

/** Why FCM refuses what the message carries; undefined when it takes it. */
export function wrongMessage(message: Record<string, unknown>, target: FcmTarget): Outcome | undefined {
  const data = record(message.data)
  for (const [key, value] of Object.entries(data)) {
    if (typeof value !== 'string' || /^(from|message_type)$|^(google|gcm)\./.test(key)) {
      return badRequest('message.data', `Invalid data payload key: ${key}`)
    }
  }
  const counted = { data, notification: message.notification, android: record(message.android).notification }
  const limit = target.kind === 'token' ? MAX_BYTES : MAX_TOPIC_BYTES
  if (Buffer.byteLength(JSON.stringify(counted)) > limit) return badRequest('message', 'Message is too big')
  if (target.kind === 'token' && (target.token.length < 20 || /\s/.test(target.token))) {
    return badRequest('message.token', 'The registration token is not a valid FCM registration token')
  }
  return undefined
}

/** What the phone shows of it. A notification replaces another on the screen only by its Android tag. */
export function messageFrom(message: Record<string, unknown>, device: FcmDevice): Arriving {
  const data = record(message.data)
  const notification = record(message.notification)
  const android = record(message.android)
  const shown = record(android.notification)
  return {
    provider: 'fcm',
    device: device.name,
    to: device.token,
    title: String(shown.title ?? notification.title ?? ''),
    body: String(shown.body ?? notification.body ?? ''),
    ...(notification.image ? { imageUrl: String(notification.image) } : {}),
    ...actionsFrom(data),
    ...fromData(data),
    silent: message.notification === undefined && shown.title === undefined && shown.body === undefined,
    ...(android.collapse_key ? { collapseKey: String(android.collapse_key) } : {}),
    ...(shown.tag ? { tag: String(shown.tag) } : {}),
    raw: message,
  }
}
