import type { Tickets } from '@carillon/redis'
import type { ChannelAccess } from '../access/channel-access.js'
import type { TokenVerifier } from '../access/identity.js'
import type { Standing } from '../access/standing.js'
import type { Budgets } from '../clients/budgets.js'
import type { CommandDeps } from '../clients/caller.js'
import type { Connections } from '../clients/connections.js'
import type { SessionKind } from '../clients/session.js'
import type { RealtimeEvents } from '../events.js'
import type { RoomPresence } from '../presence/room-presence.js'
import type { Wire, Wires } from '../protocol/wires.js'
import type { Hub } from '../stream/hub.js'
import type { LatestChannels } from '../stream/latest.js'

/** What the ways in share. */
export interface EdgeDeps {
  hub: Hub
  latest: LatestChannels
  /** For the addresses of EventSources; undefined without Redis. */
  tickets: Tickets | undefined
  connections: Connections
  verifier: TokenVerifier
  access: ChannelAccess
  standing: Standing
  presence: RoomPresence
  events: RealtimeEvents
  /** Of who publishes and asks without a connection. */
  budgets: Budgets
  allowedOrigins: ReadonlySet<string>
  maxQueuedBytes: number
  now: () => number
}

/** What the ways in of the client protocol share besides. */
export interface ProtocolDeps extends EdgeDeps {
  wires: Wires
  commands: CommandDeps
  /** Sessions whose commands come apart from their stream, by their secret id. */
  sessions: Map<string, EmulatedSession>
  limits: ProtocolLimits
}

export interface EmulatedSession {
  receive(message: Buffer): void
}

export interface ProtocolLimits {
  authenticateWithinMs: number
  pingSeconds: number
  maxChannels: number
  node: string
}

/** Largest message of a client: a token for each of its channels. */
export const MAX_INBOUND_BYTES = 128 * 1024

/** What all sessions on one wire share. */
export function sessionKind(wire: Wire, deps: ProtocolDeps): SessionKind {
  return {
    wire,
    options: { ...deps.limits, maxQueuedBytes: deps.maxQueuedBytes },
    deps: {
      ...deps.commands,
      onDisconnect: (transport, disconnect) => deps.events.disconnected(transport, disconnect),
      onFailure: (error) => deps.events.failed(error),
    },
  }
}
