import type { StatusReply } from '../faults.js'
import type { Outcome } from '../https-server.js'

const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError'
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest'

/** google.rpc.Status as FCM fills it in. */
export interface Failure {
  /** google.rpc.Code. */
  status: string
  message: string
  /** FcmError.errorCode. */
  code?: string
}

export function failure(http: number, { status, message, code }: Failure): unknown {
  const details = code ? [{ '@type': FCM_ERROR, errorCode: code }] : []
  return { error: { code: http, message, status, ...(details.length ? { details } : {}) } }
}

export function refusal(http: number, what: Failure): Outcome {
  return json(http, failure(http, what))
}

export const NOT_FOUND: Failure = { status: 'NOT_FOUND', message: 'Requested entity was not found.' }

export function badRequest(field: string, message: string): Outcome {
  const details = [
    { '@type': FCM_ERROR, errorCode: 'INVALID_ARGUMENT' },
    { '@type': BAD_REQUEST, fieldViolations: [{ field, description: message }] },
  ]
  return json(400, { error: { code: 400, message, status: 'INVALID_ARGUMENT', details } })
}

export function quotaExceeded(retryAfterSeconds: number, whose: 'project' | 'device'): Outcome {
  const message =
    whose === 'project'
      ? "Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute'."
      : 'Quota exceeded: too many messages to this device.'
  const body = failure(429, { status: 'RESOURCE_EXHAUSTED', message, code: 'QUOTA_EXCEEDED' })
  return json(429, body, { 'retry-after': String(retryAfterSeconds) })
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Outcome {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8', ...headers },
    body: JSON.stringify(body),
  }
}

export function faulty(fault: StatusReply): Outcome {
  const body = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? {})
  return { status: fault.status, headers: { 'content-type': 'application/json', ...fault.headers }, body }
}
