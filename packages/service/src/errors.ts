/** Base of errors that an operator or a caller may handle: a stable code and, where one exists, the remedy. */
export class CarillonError extends Error {
  override readonly name: string = 'CarillonError'
  readonly code: string
  readonly remedy: string | undefined

  constructor(code: string, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.remedy = options.remedy
  }
}

/** Text of anything that was thrown, for logs and problems. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
