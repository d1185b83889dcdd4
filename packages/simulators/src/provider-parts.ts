import type { Identity } from './authority.js'
import type { Inbox } from './inbox.js'

/** What every simulator is built from. */
export interface ProviderParts {
  identity: Identity
  inbox: Inbox
  /** Milliseconds since the epoch. */
  now: () => number
}
