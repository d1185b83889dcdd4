import type { HttpOutcome } from '../egress/post.js'
import { retryAfterMs } from '../retry-after.js'
import type { Verdict } from '../verdict.js'

interface FcmError {
  /** google.rpc.Code, such as NOT_FOUND. */
  status: string
  /** FcmError.errorCode, such as UNREGISTERED. */
  code: string
  /** Names of the fields that a BadRequest detail complains about. */
  fields: string[]
  message: string
}

const QUOTA_WAIT_MS = 60_000
const OUTAGE_WAIT_MS = 10_000

/**
 * FCM's answer as a verdict. The error code in the details decides; the HTTP status only where there is none.
 * One 400 covers a bad token and a bad message; the field `message.token` in the details tells them apart, and the
 * words "registration token" where the details name no field.
 */
export function fcmVerdict(answer: HttpOutcome, nowMs: number): Verdict {
  if (answer.kind === 'not-sent') return { kind: 'retry', reason: answer.reason }
  if (answer.kind === 'no-answer') return { kind: 'unknown', reason: answer.reason }
  const { status } = answer
  if (status >= 200 && status < 300) return accepted(answer.text)
  const error = readError(answer.text)
  const afterMs = retryAfterMs(answer.headers['retry-after'], nowMs)
  switch (error.code || error.status) {
    case 'UNREGISTERED':
    case 'NOT_FOUND':
      return status === 404 && error.code === '' && error.message.includes('project')
        ? { kind: 'config', reason: 'PROJECT_NOT_FOUND' }
        : { kind: 'address', reason: 'UNREGISTERED' }
    case 'SENDER_ID_MISMATCH':
      return { kind: 'address', reason: 'SENDER_ID_MISMATCH' }
    case 'INVALID_ARGUMENT':
      return error.fields.includes('message.token') || /registration token/i.test(error.message)
        ? { kind: 'address', reason: 'INVALID_TOKEN' }
        : { kind: 'message', reason: `INVALID_ARGUMENT: ${error.message.slice(0, 120)}` }
    case 'THIRD_PARTY_AUTH_ERROR':
      return { kind: 'config', reason: 'THIRD_PARTY_AUTH_ERROR' }
    case 'PERMISSION_DENIED':
      return { kind: 'config', reason: 'PERMISSION_DENIED' }
    case 'UNAUTHENTICATED':
      return { kind: 'config', reason: 'UNAUTHENTICATED' }
    case 'QUOTA_EXCEEDED':
    case 'RESOURCE_EXHAUSTED':
      return { kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: afterMs ?? QUOTA_WAIT_MS }
  }
  if (status === 429) return { kind: 'retry', reason: 'QUOTA_EXCEEDED', afterMs: afterMs ?? QUOTA_WAIT_MS }
  if (status === 401 || status === 403) return { kind: 'config', reason: `HTTP_${status}` }
  if (status === 404) return { kind: 'config', reason: 'PROJECT_NOT_FOUND' }
  if (status >= 500 || status === 408) {
    return {
      kind: 'retry',
      reason: error.code || error.status || `HTTP_${status}`,
      afterMs: afterMs ?? OUTAGE_WAIT_MS,
    }
  }
  return { kind: 'message', reason: error.status || `HTTP_${status}` }
}

function accepted(text: string): Verdict {
  const name = parse(text)?.name
  return typeof name === 'string' ? { kind: 'accepted', providerId: name } : { kind: 'accepted' }
}

function readError(text: string): FcmError {
  const error = asRecord(parse(text)?.error)
  const details = Array.isArray(error?.details) ? error.details.map(asRecord) : []
  const code = details.map((detail) => detail?.errorCode).find((one) => typeof one === 'string')
  const violations = details.flatMap((detail) =>
    Array.isArray(detail?.fieldViolations) ? detail.fieldViolations.map(asRecord) : [],
  )
  return {
    status: typeof error?.status === 'string' ? error.status : '',
    code: typeof code === 'string' ? code : '',
    fields: violations.flatMap((violation) =>
      typeof violation?.field === 'string' ? [violation.field] : [],
    ),
    message: typeof error?.message === 'string' ? error.message : '',
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return asRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}
