import type { HttpOutcome } from '../egress/post.js'
import { retryAfterMs } from '../retry-after.js'
import type { Verdict } from '../verdict.js'

/**
 * A receiver's answer as a verdict: only 2xx is taken, 410 ends the address, everything else may mend itself, so it
 * is tried again. A redirect is never followed and suspends the address. The answer's body is not looked at.
 */
export function webhookVerdict(outcome: HttpOutcome, nowMs: number): Verdict {
  if (outcome.kind === 'not-sent') {
    return outcome.refused
      ? { kind: 'address', reason: 'URL_REFUSED', suspend: true }
      : { kind: 'retry', reason: outcome.reason }
  }
  if (outcome.kind === 'no-answer') return { kind: 'unknown', reason: outcome.reason }
  const { status, headers } = outcome
  if (status >= 200 && status < 300) return { kind: 'accepted' }
  if (status === 410) return { kind: 'address', reason: 'GONE' }
  if (status >= 300 && status < 400) return { kind: 'address', reason: 'REDIRECTED', suspend: true }
  if (status === 413) return { kind: 'message', reason: 'PAYLOAD_TOO_LARGE' }
  const afterMs = retryAfterMs(headers['retry-after'], nowMs)
  return { kind: 'retry', reason: `HTTP_${status}`, ...(afterMs === undefined ? {} : { afterMs }) }
}
