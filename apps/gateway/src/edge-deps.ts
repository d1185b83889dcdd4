import type { Publisher } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { Trail } from './audit.js'
import type { Authenticator } from './authenticate.js'
import type { CredentialChecks } from './credential-checks.js'
import type { GatewayEvents } from './events.js'
import type { Guard } from './guard.js'
import type { Outbox } from './outbox.js'
import type { Rooms } from './rooms/rooms.js'

/** Where in the realtime stream a reader stands. */
export interface Position {
  epoch: string
  offset: number
}

/** What routes work with. */
export interface EdgeDeps {
  database: Database
  publisher: Publisher
  outbox: Outbox
  trail: Trail
  authenticator: Authenticator
  events: GatewayEvents
  /** Counts messages before they are published. @throws HttpProblem 429 */
  spend: Guard['spend']
  position: () => Promise<Position | undefined>
  credentialChecks: CredentialChecks
  rooms: Rooms
  masterKey: Buffer
  receiptKey: Buffer
  /** As others see us; what they sign begins with it. */
  publicUrl: string
  now: () => number
}
