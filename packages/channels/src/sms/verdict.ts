import type { HttpOutcome } from '../egress/post.js'
import { retryAfterMs } from '../retry-after.js'
import type { Verdict } from '../verdict.js'

/** No such number, not a mobile one. */
const DEAD = new Set([21211, 21214, 21217, 21401, 21407, 21421, 21614, 21635])
/** The person answered STOP. */
const STOPPED = 21610
/** This account can't reach that number or country: true today, maybe not for ever. */
const SUSPENDED = new Set([21408, 21608, 21612])
/** This sender, service or account; the recipient has no part in it. */
const CONFIG = new Set([
  10001, 20003, 20005, 20006, 20008, 20404, 21212, 21601, 21603, 21606, 21607, 21609, 21620, 21659, 21660,
  21661, 21701, 21703, 21704, 21705, 30002, 63038,
])
/** Too much at once. */
const BUSY = new Set([14107, 20429, 20503, 21611, 21730, 30001])

const BUSY_WAIT_MS = 10_000

/**
 * Twilio's answer as a verdict: its code decides where it gives one, else the status. A server error may hide a
 * message that was taken, so only 503 is certainly unprocessed.
 */
export function smsVerdict(outcome: HttpOutcome, nowMs: number): Verdict {
  if (outcome.kind === 'not-sent') {
    return outcome.refused
      ? { kind: 'config', reason: 'URL_REFUSED' }
      : { kind: 'retry', reason: outcome.reason }
  }
  if (outcome.kind === 'no-answer') return { kind: 'unknown', reason: outcome.reason }
  const { status, headers, text } = outcome
  const answer = readAnswer(text)
  if (status >= 200 && status < 300) {
    return { kind: 'accepted', ...(answer.sid === undefined ? {} : { providerId: answer.sid }) }
  }
  const { code } = answer
  const reason = code === undefined ? `HTTP_${status}` : `TWILIO_${code}`
  if (status === 429 || status === 503 || (code !== undefined && BUSY.has(code))) {
    return { kind: 'retry', reason, afterMs: retryAfterMs(headers['retry-after'], nowMs) ?? BUSY_WAIT_MS }
  }
  if (code !== undefined && DEAD.has(code)) return { kind: 'address', reason }
  if (code === STOPPED) return { kind: 'address', reason, stopped: true }
  if (code !== undefined && SUSPENDED.has(code)) return { kind: 'address', reason, suspend: true }
  if (code !== undefined && CONFIG.has(code)) return { kind: 'config', reason }
  if (status >= 500) return { kind: 'unknown', reason }
  if (status === 401 || status === 403 || status === 404 || status < 400) return { kind: 'config', reason }
  return { kind: 'message', reason }
}

function readAnswer(text: string): { sid?: string; code?: number } {
  try {
    const { sid, code } = (JSON.parse(text) ?? {}) as Record<string, unknown>
    return {
      ...(typeof sid === 'string' ? { sid: sid.slice(0, 64) } : {}),
      ...(typeof code === 'number' ? { code } : {}),
    }
  } catch {
    // a proxy's page: the status alone decides
    return {}
  }
}
