/** Codes of everything that can be wrong with what the outside sends us. Stable: clients branch on them. */
export type ContractErrorCode =
  | 'TOKEN_INVALID'
  | 'SUBJECT_INVALID'
  | 'EVENT_INVALID'
  | 'EVENT_TYPE_INVALID'
  | 'EVENT_TOO_LARGE'
  | 'MESSAGE_INVALID'
  | 'WORKFLOW_INVALID'

/** Input that breaks the contract. The message names the field and says what would be right. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
  readonly code: ContractErrorCode
  /** The attribute, header or path that is wrong. */
  readonly field: string | undefined

  constructor(code: ContractErrorCode, message: string, field?: string) {
    super(message)
    this.code = code
    this.field = field
  }
}
