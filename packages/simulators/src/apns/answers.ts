import { randomUUID } from 'node:crypto'
import type { SimulatorReply, SimulatorRequest } from '../https-server.js'

export const BUNDLE = 'dev.carillon.demo'
export const ACTIVITY_TOPIC = `${BUNDLE}.push-type.liveactivity`
const MAX_BYTES = 4096
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PUSH_TYPES = new Set(['alert', 'background', 'liveactivity'])

/** The reason that Apple gives for a malformed request, in its order of checks. */
export function wrongRequest({ headers, body }: SimulatorRequest): string | undefined {
  const type = headers['apns-push-type']
  const priority = headers['apns-priority'] ?? '10'
  if (!type || !PUSH_TYPES.has(type)) return 'InvalidPushType'
  if (headers['apns-id'] !== undefined && !UUID.test(headers['apns-id'])) return 'BadMessageId'
  if (Buffer.byteLength(headers['apns-collapse-id'] ?? '') > 64) return 'BadCollapseId'
  if (!['1', '5', '10'].includes(priority) || (type === 'background' && priority === '10'))
    return 'BadPriority'
  if (headers['apns-expiration'] !== undefined && !/^\d+$/.test(headers['apns-expiration']))
    return 'BadExpirationDate'
  if (body.length === 0) return 'PayloadEmpty'
  if (body.length > MAX_BYTES) return 'PayloadTooLarge'
  if (!headers['apns-topic']) return 'MissingTopic'
  if (headers['apns-topic'] !== (type === 'liveactivity' ? ACTIVITY_TOPIC : BUNDLE)) return 'TopicDisallowed'
  return undefined
}

export function apnsId(headers: Record<string, string>): Record<string, string> {
  return { 'apns-id': headers['apns-id'] ?? randomUUID().toUpperCase() }
}

export function refusal(
  { headers }: SimulatorRequest,
  status: number,
  reason: string,
  extra: object = {},
): SimulatorReply {
  return {
    status,
    headers: { ...apnsId(headers), 'content-type': 'application/json' },
    body: JSON.stringify({ reason, ...extra }),
  }
}
