import type { ProtocolError } from './codes.js'
import type { RawJson } from './raw-json.js'

/** One message to a client, as both encodings of the protocol carry it: the reply to a command, or a push. */
export interface Reply {
  /** Of the command that is answered; absent for a push. */
  id?: number
  error?: ProtocolError
  push?: Push
  connect?: ConnectResult
  subscribe?: SubscribeResult
  unsubscribe?: object
  publish?: object
  presence?: { presence: Readonly<Record<string, ClientInfo>> }
  presence_stats?: { num_clients: number; num_users: number }
  history?: HistoryResult
  ping?: object
  rpc?: { data: RawJson }
  refresh?: RefreshResult
  sub_refresh?: { expires: boolean; ttl: number }
}

export interface Push {
  channel?: string
  pub?: Publication
  join?: { info: ClientInfo }
  leave?: { info: ClientInfo }
  unsubscribe?: { code: number; reason: string }
  disconnect?: { code: number; reason: string }
}

export interface ClientInfo {
  user: string
  client: string
  chan_info?: RawJson
}

export interface Publication {
  data: RawJson
  info?: ClientInfo
  offset?: number
  /** Of a `latest` channel: what it replaces. */
  key?: string
  /** The key again: the official clients show it only here. */
  tags?: { readonly key: string }
}

export interface SubscribeResult {
  expires?: boolean
  /** Seconds until the subscription has to be refreshed. */
  ttl?: number
  recoverable?: boolean
  positioned?: boolean
  epoch?: string
  offset?: number
  was_recovering?: boolean
  recovered?: boolean
  publications?: readonly Publication[]
}

export interface ConnectResult {
  client: string
  version: string
  expires: boolean
  /** Seconds until the token has to be refreshed. */
  ttl: number
  /** Seconds between pings. */
  ping: number
  pong: boolean
  session: string
  node: string
  subs: Readonly<Record<string, SubscribeResult>>
}

export interface RefreshResult {
  client: string
  version: string
  expires: boolean
  ttl: number
}

export interface HistoryResult {
  publications: readonly Publication[]
  epoch: string
  offset: number
}
