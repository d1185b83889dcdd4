/** What can go wrong while publishing. `refused`: mend the event; `unavailable`: repeat later, the id makes it safe. */
export type PublishFailure = 'refused' | 'unauthorized' | 'unavailable'

/** One of several things that are wrong with what was sent. */
export interface RefusedField {
  /** Like `steps.2.email.template`. */
  field: string
  detail: string
}

/** A publish or a call that did not succeed. After `unavailable` the event may or may not be stored. */
export class CarillonClientError extends Error {
  override readonly name = 'CarillonClientError'
  readonly failure: PublishFailure
  /** Carillon's stable code, when it answered at all. */
  readonly code: string
  readonly field: string | undefined
  readonly status: number | undefined
  /** Everything that is wrong, when it is more than one message can say. */
  readonly errors: readonly RefusedField[]

  constructor(
    failure: PublishFailure,
    code: string,
    message: string,
    more: {
      field?: string | undefined
      status?: number
      errors?: readonly RefusedField[] | undefined
      cause?: unknown
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.failure = failure
    this.code = code
    this.field = more.field
    this.status = more.status
    this.errors = more.errors ?? []
  }
}
