import type { Msg } from '@nats-io/transport-node'
import type { Wire } from './connection.js'
import { ApiError } from './errors.js'

const API_TIMEOUT_MS = 5_000
const NOT_FOUND = new Set([10014, 10037, 10059])

interface ApiFailure {
  code: number
  err_code?: number
  description?: string
}

/** One request, one reply. @throws ApiError */
export function request(
  wire: Wire,
  subject: string,
  body: string,
  timeoutMs: number = API_TIMEOUT_MS,
): Promise<Msg> {
  return new Promise((resolve, reject) => {
    if (wire.closed) {
      reject(new ApiError('UNAVAILABLE', 'The connection to NATS is closed.'))
      return
    }
    const reply = wire.replies.open({
      subject,
      deadline: Date.now() + timeoutMs,
      settle: (message, failure) => {
        if (message !== undefined) resolve(message)
        else if (failure === 'TIMEOUT') reject(new ApiError('TIMEOUT', `${subject} was not answered.`))
        else if (failure === 'DENIED') reject(new ApiError('DENIED', `${subject} is not permitted.`))
        else reject(new ApiError('UNAVAILABLE', `Nobody answers ${subject}.`))
        return undefined
      },
    })
    wire.nats.publish(subject, body, { reply })
  })
}

/** A request to `$JS.API.<operation>`; returns the parsed answer. @throws ApiError */
export async function api<T>(wire: Wire, operation: string, body: unknown = undefined): Promise<T> {
  const payload = body === undefined ? '' : JSON.stringify(body)
  const message = await request(wire, `$JS.API.${operation}`, payload)
  const answer = message.json<T & { error?: ApiFailure }>()
  if (answer.error !== undefined) throw apiError(operation, answer.error)
  return answer
}

function apiError(operation: string, failure: ApiFailure): ApiError {
  const serverCode = failure.err_code ?? failure.code
  const code = NOT_FOUND.has(serverCode) ? 'NOT_FOUND' : failure.code === 503 ? 'UNAVAILABLE' : 'REFUSED'
  return new ApiError(code, `${operation}: ${failure.description ?? 'refused'} (${serverCode})`, serverCode)
}
