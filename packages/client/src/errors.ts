import type { Problem } from './api.js'

/**
 * `OFFLINE`: could not be sent. `UNKNOWN_OUTCOME`: sent, and the connection was lost before the answer. `QUEUE_FULL`: 500
 * marks wait already. `NOT_AVAILABLE`: not with this transport. `LEFT`: the channel was left. `NOT_JOINED`: it was refused,
 * see its `error`. `DISPOSED`: after `dispose`.
 */
export type ClientErrorCode =
  | 'OFFLINE'
  | 'UNKNOWN_OUTCOME'
  | 'QUEUE_FULL'
  | 'NOT_AVAILABLE'
  | 'LEFT'
  | 'NOT_JOINED'
  | 'DISPOSED'

/** Why an operation did not work. `code` is one of `ClientErrorCode`, or the server's. */
export class CarillonError extends Error {
  readonly code: string
  /** As HTTP counts; absent when the server did not answer. */
  readonly status: number | undefined

  constructor(code: string, message: string, status?: number) {
    super(message)
    this.name = 'CarillonError'
    this.code = code
    this.status = status
  }
}

/** To be thrown by `getToken`: nobody is signed in. */
export class UnauthorizedError extends Error {
  readonly code = 'UNAUTHORIZED'

  constructor(message = 'Nobody is signed in.') {
    super(message)
    this.name = 'UnauthorizedError'
  }
}

/** True for errors that mean: nobody is signed in. Also for one of another copy of this package. */
export function isUnauthorized(error: unknown): error is Error {
  return (error as { name?: unknown } | null)?.name === 'UnauthorizedError'
}

/** What went wrong, as snapshots show it. */
export function problemOf(error: unknown): Problem {
  const { message } = error as Error
  return { code: error instanceof CarillonError ? error.code : 'UNAUTHORIZED', message }
}
