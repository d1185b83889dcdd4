import type { InboxItem } from '@carillon/contracts'
import type {
  ChannelMessage,
  ChannelPresence,
  ConnectionState,
  HistoryOptions,
  InboxFilter,
  InboxSnapshot,
  PresenceStats,
  Problem,
} from '../api.js'
import type { ChannelEvent, ChannelState } from '../channels/channel-state.js'
import type { Mark } from '../inbox/marks.js'

/** What a tab asks of the host: the one that holds the connection for all. */
export interface Calls {
  /** Whether this tab wants a connection. */
  want(wanted: boolean): void
  filter(filter: InboxFilter): void
  load(filter: InboxFilter): void
  loadMore(filter: InboxFilter): void
  mark(mark: Mark): void
  readAll(): void
  /** Joins once more; `hasToken`: the tab gives tokens for it. `known`: what it heard from the host before. */
  join(name: string, hasToken: boolean, known: ChannelState | null): void
  leave(name: string): void
  publish(name: string, data: object, key: string | null): void
  history(name: string, options: HistoryOptions): readonly ChannelMessage[]
  presence(name: string): ChannelPresence
  presenceStats(name: string): PresenceStats
  /** The page is looked at again, or the browser says that there is a network. */
  wake(): void
  networkLost(): void
  signOut(): void
}
export type CallName = keyof Calls
export type Call = { [N in CallName]: { name: N; args: Parameters<Calls[N]> } }[CallName]

/** What a host tells tabs. */
export type HostEvent =
  | { type: 'state'; state: ConnectionState; problem: Problem | null }
  | { type: 'inbox'; filter: InboxFilter; shown: Omit<InboxSnapshot, 'filter'> }
  | { type: 'arrived'; notification: InboxItem }
  /** All of a channel, to who joins it. */
  | { type: 'channel'; name: string; state: ChannelState }
  | { type: 'happened'; name: string; event: ChannelEvent }
  /** The tab is asked for the person's token, or that of a channel. */
  | { type: 'token'; id: string; channel: string | null }

/** A tab's answer to `token`. */
export type TokenAnswer = { token: string } | { unauthorized: boolean; message: string }

/** What a tab brings when it finds a host: a host that is new knows nothing else. */
export interface Hello {
  wanted: boolean
  filter: InboxFilter
  /** What this tab shows of the inbox; null when it knows nothing. */
  inbox: { items: readonly InboxItem[]; unread: number } | null
  /** The newest notification that it has shown; null when it showed no page yet. */
  newest: string | null
  channels: readonly { name: string; handles: number; hasToken: boolean; known: ChannelState | null }[]
}

/** A host as one tab talks to it. */
export interface HostPort {
  /** @throws CarillonError, UnauthorizedError */
  call(call: Call): Promise<unknown>
  answer(id: string, answer: TokenAnswer): void
  close(): void
}
