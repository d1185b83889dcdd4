import type { Frame } from '@carillon/contracts'
import type { CarillonOptions, ChannelMessage, ConnectionState, HistoryOptions, Problem } from '../api.js'
import type { ChannelEvent, Position } from '../channels/channel-state.js'

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
}
