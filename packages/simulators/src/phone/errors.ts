/** The gateway refused what a phone asked of it. */
export class PhoneRefused extends Error {
  readonly code = 'PHONE_REFUSED'
  readonly status: number

  constructor(status: number, detail: string) {
    super(detail)
    this.name = 'PhoneRefused'
    this.status = status
  }
}
