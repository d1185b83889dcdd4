/** A request to the control server that makes no sense. */
export class ControlRequestInvalid extends Error {
  readonly code = 'CONTROL_REQUEST_INVALID'
  readonly field: string

  constructor(field: string) {
    super(`${field} is not valid`)
    this.name = 'ControlRequestInvalid'
    this.field = field
  }
}

/** The control server refused, or can't be reached (`status` 0). */
export class ControlFailed extends Error {
  readonly code = 'CONTROL_FAILED'
  readonly status: number

  constructor(status: number, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.name = 'ControlFailed'
    this.status = status
  }
}
