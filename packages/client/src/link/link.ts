import type { Frame } from '@carillon/contracts'
import type {
  CarillonOptions,
  ChannelMessage,
  ChannelPresence,
  ConnectionState,
  HistoryOptions,
  PresenceStats,
  Problem,
} from '../api.js'
import type { ChannelEvent, Position } from '../channels/channel-state.js'
import type { Http } from './http.js'
import type { Tokens } from './tokens.js'

export interface LinkOptions {
  url: string
  transports: CarillonOptions['transports']
  fetch: typeof fetch
  /** Undefined: the platform's. */
  WebSocket: unknown
  EventSource: unknown
}

/** What a link tells. Nothing of an old connection comes after a new one has begun. */
export interface LinkEvents {
  state(state: ConnectionState, problem: Problem | null): void
  /** The personal channel is heard again; false: frames may be missing since the last time. */
  personal(recovered: boolean): void
  /** Each once, in the server's order. */
  frame(frame: Frame): void
  channel(name: string, event: ChannelEvent): void
}

/** What a link works with. */
export interface LinkDeps {
  tokens: Tokens
  http: Http
  events: LinkEvents
}

/** One connection to the mesh, and the channels it is in. */
export interface Link {
  readonly connected: boolean
  connect(): void
  /** May be connected again. */
  disconnect(): void
  /** The network or the person is back: an attempt that waits is made at once. */
  wake(): void
  /** The browser says that there is no network. */
  networkLost(): void
  /** @throws CarillonError `NOT_AVAILABLE`: ask over HTTP. `OFFLINE`: nobody knows whether it was done */
  rpc(method: string, params: object): Promise<unknown>
  join(name: string, options: { token?: (() => Promise<string>) | undefined; since: Position | null }): void
  leave(name: string): void
  /** @throws CarillonError */
  publish(name: string, data: object): Promise<void>
  /** @throws CarillonError */
  history(name: string, options: HistoryOptions): Promise<readonly ChannelMessage[]>
  /** @throws CarillonError */
  presence(name: string): Promise<ChannelPresence>
  /** @throws CarillonError */
  presenceStats(name: string): Promise<PresenceStats>
}
