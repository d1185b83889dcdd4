/**
 * Everything that can be wrong before a provider is asked:
 * - `CREDENTIALS_INVALID`: credentials miss a field or hold a wrong one; `field` names it
 * - `CREDENTIALS_SEALED`: sealed credentials can't be opened: other key, other tenant or provider, or changed bytes
 * - `PROVIDER_UNKNOWN`: no such provider
 * - `PAYLOAD_TOO_LARGE`: what remains after clipping is still over the provider's limit
 * - `EGRESS_REFUSED`: an address outside of what channels may reach
 * - `UNSUBSCRIBE_TOKEN_INVALID`: a link that we did not sign
 * - `RECEIPT_TOKEN_INVALID`: not signed by us, for something else, or expired
 */
export type ChannelErrorCode =
  | 'CREDENTIALS_INVALID'
  | 'CREDENTIALS_SEALED'
  | 'PROVIDER_UNKNOWN'
  | 'PAYLOAD_TOO_LARGE'
  | 'EGRESS_REFUSED'
  | 'RECEIPT_TOKEN_INVALID'
  | 'UNSUBSCRIBE_TOKEN_INVALID'

/** An error of this package. Messages never hold a secret. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError'
  readonly code: ChannelErrorCode
  readonly field: string | undefined

  constructor(code: ChannelErrorCode, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.field = options.field
  }
}
