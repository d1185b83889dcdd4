export type RoomErrorCode = 'SCHEMA_INVALID' | 'RULES_UNREADABLE'

/** What can go wrong with the rules of rooms. */
export class RoomError extends Error {
  override readonly name = 'RoomError'
  readonly code: RoomErrorCode
  /** JSON pointer into the schema; empty for the whole. */
  readonly path: string

  constructor(code: RoomErrorCode, message: string, path = '') {
    super(message)
    this.code = code
    this.path = path
  }
}
