import type { ChannelAccess } from '../access/channel-access.js'
import type { Grant } from '../access/grant.js'
import type { Identity, TokenVerifier } from '../access/identity.js'
import type { Standing } from '../access/standing.js'
import type { PresencePushes } from '../presence/pushes.js'
import type { RoomPresence } from '../presence/room-presence.js'
import type { Disconnect, ProtocolError } from '../protocol/codes.js'
import type { Reply } from '../protocol/replies.js'
import type { Wire } from '../protocol/wires.js'
import type { Channel, Subscriber } from '../stream/channel.js'
import type { Attachment, Hub } from '../stream/hub.js'
import type { LatestChannels, LatestSubscriber } from '../stream/latest.js'
import type { RoomPublisher } from '../stream/room-publisher.js'
import type { TokenBucket } from './admission.js'
import type { Connections, Transport } from './connections.js'
import type { InboxCalls } from './inbox-calls.js'

export interface CommandOptions {
  pingSeconds: number
  maxChannels: number
  /** Name of this node: where commands of an emulated connection are sent on to. */
  node: string
}

/** What commands need of the node. */
export interface CommandDeps {
  hub: Hub
  latest: LatestChannels
  connections: Connections
  verifier: TokenVerifier
  access: ChannelAccess
  standing: Standing
  presence: RoomPresence
  presencePushes: PresencePushes
  publisher: RoomPublisher
  inbox: InboxCalls
  now: () => number
  onAttached: (transport: Transport, attachment: Attachment) => void
}

/** What commands need of the connection they came by. */
export interface CommandPort {
  readonly ended: boolean
  readonly wire: Wire
  readonly subscriber: Subscriber & LatestSubscriber
  /** Under which emulated commands find the connection; empty where there are none. */
  readonly sessionId: string
  say(reply: Reply): void
  push(bytes: Buffer): void
  disconnect(disconnect: Disconnect): void
  /** Ends the connection after so long, unless it is called again. */
  expireIn(ms: number): void
}

/** A channel that a client is in. */
export interface Joined {
  readonly channel: Channel | undefined
  grant: Grant | undefined
  /** Gives up the place; `orderly` when the client said so or may no longer be there. Idempotent. */
  leave(how: { orderly: boolean }): void
  /** Ends the subscription at `grant.endsAtMs`, or asks again; called again when the grant is a new one. */
  watchEnd(): void
}

/** One client as its commands see it: who it is, where it is, and the connection. */
export interface Caller {
  readonly id: string
  readonly port: CommandPort
  readonly options: CommandOptions
  readonly deps: CommandDeps
  readonly joined: Map<string, Joined>
  identity: Identity | undefined
  connected: boolean
  /** Whose place among the user's connections is taken. */
  claimed: string | undefined
  /** What the client may still publish and ask for; made when it first does. */
  budget: TokenBucket | undefined
}

/** A refusal that is the answer to one command. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly error: ProtocolError

  constructor(error: ProtocolError) {
    super(error.message)
    this.error = error
  }
}
