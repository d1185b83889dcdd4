import type { HttpOutcome } from '../egress/post.js'
import { retryAfterMs } from '../retry-after.js'
import type { Verdict } from '../verdict.js'

const QUOTA_WAIT_MS = 60_000
const OUTAGE_WAIT_MS = 10_000

/**
 * A push service's answer as a verdict. 401 and 403 are about our key as a rule, but one subscription made with
 * another key answers the same: the services name the mismatch, and that is the address's fault.
 */
export function webPushVerdict(outcome: HttpOutcome, nowMs: number): Verdict {
  if (outcome.kind === 'not-sent') {
    return outcome.refused
      ? { kind: 'address', reason: 'ENDPOINT_REFUSED' }
      : { kind: 'retry', reason: outcome.reason }
  }
  if (outcome.kind === 'no-answer') return { kind: 'unknown', reason: outcome.reason }
  const { status, headers, text } = outcome
  const afterMs = retryAfterMs(headers['retry-after'], nowMs)
  if (status >= 200 && status < 300) {
    const { location } = headers
    return typeof location === 'string' ? { kind: 'accepted', providerId: location } : { kind: 'accepted' }
  }
  if (status === 404 || status === 410)
    return { kind: 'address', reason: status === 410 ? 'GONE' : 'NOT_FOUND' }
  if (status === 401 || status === 403) {
    return /mismatch|VapidPkHashMismatch|do(es)? not correspond/i.test(text)
      ? { kind: 'address', reason: 'VAPID_MISMATCH' }
      : { kind: 'config', reason: `VAPID_REFUSED_${status}` }
  }
  if (status === 413) return { kind: 'message', reason: 'PAYLOAD_TOO_LARGE' }
  if (status === 429) return { kind: 'retry', reason: 'TOO_MANY_REQUESTS', afterMs: afterMs ?? QUOTA_WAIT_MS }
  if (status === 408 || status >= 500) {
    return { kind: 'retry', reason: `HTTP_${status}`, afterMs: afterMs ?? OUTAGE_WAIT_MS }
  }
  if (status >= 300 && status < 400) return { kind: 'address', reason: 'REDIRECTED', suspend: true }
  return { kind: 'message', reason: `HTTP_${status}` }
}
