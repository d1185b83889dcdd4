/** A text that could not be rendered for one event. The message names the variable or the limit. */
export class RenderError extends Error {
  override readonly name = 'RenderError'
  readonly code: 'VARIABLE_MISSING' | 'LIMIT' | 'TEMPLATE'
  /** Where the text stands in the workflow, like `content.title`. */
  readonly field: string

  constructor(
    code: 'VARIABLE_MISSING' | 'LIMIT' | 'TEMPLATE',
    field: string,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.field = field
  }
}
