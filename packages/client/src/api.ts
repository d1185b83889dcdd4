import type { InboxItem } from '@carillon/contracts'
import type { WebPush, WebPushOptions } from '@carillon/devices'

/** Where marks that wait and the last page are kept between visits. */
export interface ClientStorage {
  get(key: string): Promise<string | null>
  set(key: string, value: string): Promise<void>
  remove(key: string): Promise<void>
}

export interface CarillonOptions {
  /** Origin of the edge, `https://carillon.example`. */
  url: string
  /**
   * A token for the signed-in person, from your own server. Asked for at the first connection, at the next one after an
   * end, and before each token's end. Throw `UnauthorizedError` when nobody is signed in any more.
   */
  getToken: () => Promise<string>
  /**
   * Who is signed in. Names what is kept in storage and joins the tabs that share a connection: without it nothing is
   * kept and each tab has its own.
   */
  user?: string
  /**
   * `auto`: WebSocket, and where a network blocks it, the same protocol over HTTP streams. `websocket`: nothing else.
   * `sse`: a plain EventSource, with operations over HTTP; nobody is told there who
   * comes and goes. `auto` unless said.
   */
  transports?: 'auto' | 'websocket' | 'sse'
  /** One connection for all tabs of the browser. True unless said, in browsers, when `user` is given. */
  shareTabs?: boolean
  /** IndexedDB where there is one unless said; false keeps nothing. */
  storage?: ClientStorage | false
  /** Notifications in one page of the inbox, 1 to 100; 20 unless said. */
  pageSize?: number
  /** For Node and tests; browsers have their own. */
  fetch?: typeof fetch
  WebSocket?: unknown
  EventSource?: unknown
  /** Milliseconds since the epoch. */
  now?: () => number
}

/**
 * `idle`: not wanted, or refused for good (see `error`). `connecting`: the first try. `offline`: tried and failed, tries
 * go on. `signed-out`: the token was refused or there is none any more; `connect()` begins anew.
 */
export type ConnectionState = 'idle' | 'connecting' | 'connected' | 'offline' | 'signed-out'

/** Why something did not work. `code` is the server's (`VALIDATION`, …) or one of `ClientErrorCode`. */
export interface Problem {
  code: string
  message: string
}

export interface Carillon {
  /** Connects and stays connected, through losses, until `disconnect`. */
  connect(): void
  disconnect(): void
  readonly state: ConnectionState
  /** Why the state is `idle` or `signed-out` though a connection was wanted. */
  readonly error: Problem | null
  onState(listener: (state: ConnectionState) => void): () => void
  readonly inbox: InboxStore
  /**
   * Joins a channel. Each call gives a handle of its own; the channel is left when the last one was. Joining goes on
   * through losses until `leave`.
   * @throws CarillonError `DISPOSED`
   */
  channel(name: `room:${string}` | `latest:${string}`, options?: ChannelOptions): Channel
  /** Notifications that arrive while connected, each once: for toasts. What was missed only shows in the inbox. */
  onNotification(listener: (notification: InboxItem) => void): () => void
  /** Web Push of this browser, for the same person and edge. Needs `user`. @throws WebPushError */
  registerWebPush(options: Omit<WebPushOptions, 'user' | 'token' | 'gateway'>): Promise<WebPush>
  /** Disconnects, in every tab of this person, and forgets what is kept in storage. */
  signOut(): Promise<void>
  /** Ends this tab's part; other tabs go on. */
  dispose(): Promise<void>
}

/** `all`: not archived, not snoozed. `unread`: of that, not read. */
export type InboxFilter = 'all' | 'unread' | 'archived' | 'snoozed'

export interface InboxSnapshot {
  readonly status: 'idle' | 'loading' | 'ready' | 'failed'
  /** Newest first. */
  readonly items: readonly InboxItem[]
  /** Of the whole inbox, whatever the filter. The server counts to 1,000. */
  readonly unread: number
  readonly filter: InboxFilter
  readonly hasMore: boolean
  readonly loadingMore: boolean
  /** The last failure to load, or the last mark that was refused. */
  readonly error: Problem | null
}

/**
 * The inbox, kept up to date. Snapshots are immutable, and the same object until something changes. Marks show at once;
 * a refusal takes them back and rejects with `CarillonError`. Without a connection they are kept (at most 500), resolve,
 * and are sent in order when there is one again.
 */
export interface InboxStore {
  getSnapshot(): InboxSnapshot
  subscribe(listener: () => void): () => void
  /** Fetches the newest page, of the filter. Done by itself once connected. */
  load(): Promise<void>
  loadMore(): Promise<void>
  setFilter(filter: InboxFilter): Promise<void>
  seen(ids: readonly string[]): Promise<void>
  read(ids: readonly string[]): Promise<void>
  unread(ids: readonly string[]): Promise<void>
  archive(ids: readonly string[]): Promise<void>
  unarchive(ids: readonly string[]): Promise<void>
  snooze(ids: readonly string[], until: Date): Promise<void>
  unsnooze(ids: readonly string[]): Promise<void>
  remove(ids: readonly string[]): Promise<void>
  /** Everything up to now. Without a connection: everything that is known here. */
  readAll(): Promise<void>
}

export interface ChannelOptions {
  /** A token for this channel alone; the first handle's counts. Without it the connection's token decides. */
  token?: () => Promise<string>
}

/** Somebody in a channel. One person with two browsers is there twice. */
export interface Member {
  /** The connection. */
  readonly client: string
  /** The user as your server calls them. */
  readonly user: string
  /** What the authorisation said of them. */
  readonly info: unknown
}

export interface ChannelMessage {
  readonly data: unknown
  /** Place in the room's history; null in `latest` channels. Grows, with gaps. */
  readonly offset: number | null
  /** Of a `latest` channel: the newest of each key is kept. */
  readonly key: string | null
  /** Null when a service published it without saying who. */
  readonly from: Member | null
}

export interface ChannelSnapshot {
  readonly state: 'joining' | 'joined' | 'refused' | 'left'
  /** Oldest first: the newest 200 of a room, the newest of each key (at most 200 keys) of a `latest` channel. */
  readonly messages: readonly ChannelMessage[]
  /** At most 200 are listed. With `transports: 'sse'` none: ask `presence`. */
  readonly members: readonly Member[]
  /** Connections in the channel, listed or not. */
  readonly memberCount: number
  /** False after messages were lost for good: read the state anew from where it is kept. */
  readonly recovered: boolean
  readonly error: Problem | null
}

export interface PresenceStats {
  /** Connections. */
  readonly clients: number
  /** Different people. */
  readonly users: number
}

export interface ChannelPresence extends PresenceStats {
  /** Null above 200 connections: then there are the numbers alone. */
  readonly members: readonly Member[] | null
}

export interface HistoryOptions {
  /** 50 unless said; at most 200 are kept. An answer ends at 512 KiB at the earliest: ask on with `since`. */
  limit?: number
  /** Messages after this offset, or with `newestFirst` before it. */
  since?: number
  newestFirst?: boolean
}

export interface Channel {
  readonly name: string
  getSnapshot(): ChannelSnapshot
  subscribe(listener: () => void): () => void
  /** Each message once, in order. */
  onMessage(listener: (message: ChannelMessage) => void): () => void
  /** Resolves when the server has it. Never repeated by itself. @throws CarillonError */
  publish(data: object, options?: { key?: string }): Promise<void>
  /** Of rooms. @throws CarillonError */
  history(options?: HistoryOptions): Promise<readonly ChannelMessage[]>
  /** Who is in a room at this moment. @throws CarillonError */
  presence(): Promise<ChannelPresence>
  /** How many are in a room at this moment. @throws CarillonError */
  presenceStats(): Promise<PresenceStats>
  leave(): void
}
