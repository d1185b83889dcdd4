import { ChannelError } from '@carillon/channels'
import { ApiError, PublishError } from '@carillon/jetstream'
import { DatabaseError, isDataError, isTransient } from '@carillon/postgres'
import { HttpProblem } from '@carillon/service'

/** Seconds after which a client may try again what could not be done now. */
const RETRY_AFTER = { 'retry-after': '2' }

/** What the adapters throw, as an answer. Anything unknown passes through and becomes a 500 that says nothing. */
export function adapterProblem(error: unknown): unknown {
  if (error instanceof PublishError) {
    if (error.code === 'TOO_LARGE') return new HttpProblem(413, 'EVENT_TOO_LARGE', error.message)
    if (error.code === 'REFUSED') return error
    return new HttpProblem(
      503,
      error.code === 'FULL' ? 'MESH_FULL' : 'MESH_UNAVAILABLE',
      'The event could not be stored. Send it again with the same id: it rings once.',
      { headers: RETRY_AFTER, cause: error },
    )
  }
  if (error instanceof ApiError && (error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT')) {
    return new HttpProblem(503, 'MESH_UNAVAILABLE', 'The mesh does not answer now.', {
      headers: RETRY_AFTER,
      cause: error,
    })
  }
  if (error instanceof DatabaseError && error.code === 'ABORTED') return unavailable(error)
  if (isTransient(error)) return unavailable(error)
  if (isDataError(error)) {
    return new HttpProblem(400, 'VALUE_REFUSED', 'A value is outside of what can be stored.', {
      cause: error,
    })
  }
  if (error instanceof ChannelError) {
    return new HttpProblem(
      400,
      error.code,
      error.message,
      error.field === undefined ? {} : { field: error.field },
    )
  }
  return error
}

function unavailable(cause: unknown): HttpProblem {
  return new HttpProblem(503, 'STORE_UNAVAILABLE', 'The database can not be reached.', {
    headers: RETRY_AFTER,
    cause,
  })
}

/** The thing isn't there, or isn't yours: one answer for both. */
export function notFound(what: string): HttpProblem {
  return new HttpProblem(404, 'NOT_FOUND', `There is no such ${what}.`)
}
