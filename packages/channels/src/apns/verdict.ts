import type { Verdict } from '../verdict.js'

/** What came of one request to APNs. `timestamp` in milliseconds, from a 410. */
export type ApnsAnswer =
  | {
      kind: 'answer'
      status: number
      reason: string
      apnsId?: string
      timestamp?: number
      retryAfterMs?: number
    }
  | { kind: 'not-sent'; reason: string }
  | { kind: 'no-answer'; reason: string }

const ADDRESS = new Set(['BadDeviceToken', 'Unregistered', 'ExpiredToken', 'DeviceTokenNotForTopic'])
const CONFIG = new Set([
  'BadCertificate',
  'BadCertificateEnvironment',
  'BadEnvironmentKeyIdInToken',
  'BadTopic',
  'Forbidden',
  'InvalidProviderToken',
  'InvalidPushType',
  'MissingProviderToken',
  'MissingTopic',
  'TopicDisallowed',
  'UnrelatedKeyIdInToken',
])
const RETRY = new Set(['ExpiredProviderToken', 'IdleTimeout', 'Shutdown', 'TooManyRequests'])
const DEVICE_WAIT_MS = 60_000
/** Apple asks for a new token at most every 20 minutes. */
const TOKEN_UPDATE_WAIT_MS = 20 * 60_000
/** Apple: "retry after 15 minutes" for 5xx; shortened, since a try costs nothing and most outages are seconds. */
const OUTAGE_WAIT_MS = 30_000

/** APNs' answer as a verdict; the reason decides, the status where there is no known reason. */
export function apnsVerdict(answer: ApnsAnswer): Verdict {
  if (answer.kind === 'not-sent') return { kind: 'retry', reason: answer.reason }
  if (answer.kind === 'no-answer') return { kind: 'unknown', reason: answer.reason }
  const { status, reason, retryAfterMs } = answer
  if (status === 200) {
    return answer.apnsId ? { kind: 'accepted', providerId: answer.apnsId } : { kind: 'accepted' }
  }
  if (ADDRESS.has(reason) || status === 410) {
    const at = answer.timestamp
    return { kind: 'address', reason, ...(at === undefined ? {} : { at }) }
  }
  if (CONFIG.has(reason)) return { kind: 'config', reason }
  if (reason === 'TooManyProviderTokenUpdates') {
    return { kind: 'retry', reason, afterMs: retryAfterMs ?? TOKEN_UPDATE_WAIT_MS }
  }
  if (status === 429) return { kind: 'retry', reason, afterMs: retryAfterMs ?? DEVICE_WAIT_MS }
  if (RETRY.has(reason))
    return { kind: 'retry', reason, ...(retryAfterMs === undefined ? {} : { afterMs: retryAfterMs }) }
  if (status >= 500) return { kind: 'retry', reason, afterMs: retryAfterMs ?? OUTAGE_WAIT_MS }
  if (status === 403 || status === 404 || status === 405) return { kind: 'config', reason }
  return { kind: 'message', reason }
}
