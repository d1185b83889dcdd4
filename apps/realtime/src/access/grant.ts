import type { ChannelKind, ChannelPermission } from '@carillon/contracts'
import { CarillonError } from '@carillon/service'

/** What somebody may do in a channel. */
export interface Grant {
  name: string
  kind: ChannelKind
  id: string
  namespace: string
  permissions: ReadonlySet<ChannelPermission>
  /** Whether subscribers are told who comes and goes. */
  joins: boolean
  /** Shown to others beside the user's id. */
  info: unknown
  /** When it ends, milliseconds; undefined: with the connection's token. */
  endsAtMs: number | undefined
}

export type AccessErrorCode = 'CHANNEL_UNKNOWN' | 'CHANNEL_DENIED' | 'CHANNEL_DATA_INVALID' | 'UNAVAILABLE'

/** Why somebody may not do something in a channel. */
export class AccessError extends CarillonError {
  override readonly name = 'AccessError'
  declare readonly code: AccessErrorCode
  /** JSON pointer to what is wrong with published data. */
  readonly field: string | undefined

  constructor(code: AccessErrorCode, message: string, options: { cause?: unknown; field?: string } = {}) {
    super(code, message, options)
    this.field = options.field
  }
}
