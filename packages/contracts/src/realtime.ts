import { assertToken } from './tokens.js'

/** What a client may do in a channel. `publish` never follows from `subscribe`. */
export const CHANNEL_PERMISSIONS = ['subscribe', 'publish', 'presence', 'history'] as const
export type ChannelPermission = (typeof CHANNEL_PERMISSIONS)[number]

/** Kinds of channels that a name chooses; a personal channel is just `user`. */
export const CHANNEL_KINDS = ['room', 'latest'] as const
export type ChannelKind = (typeof CHANNEL_KINDS)[number]

/**
 * How the rooms of one namespace behave. A namespace is the part of a channel's id before its first dash: `room:ride-9`
 * and `latest:ride-9` are of the namespace `ride`. What no rule says is as in `DEFAULT_CHANNEL_RULE`.
 */
export interface ChannelRule {
  namespace: string
  /** Ask the services that answer for this namespace whom a token lets in no further. */
  authorise: boolean
  /** What everybody whom the token or a service lets in may do besides. */
  allow: readonly ChannelPermission[]
  /** Tell subscribers who comes and goes. */
  joins: boolean
  /** JSON Schema of what may be published; null for any JSON object. */
  schema: Readonly<Record<string, unknown>> | null
}

/** Rules of a namespace that has none of its own. */
export const DEFAULT_CHANNEL_RULE: Omit<ChannelRule, 'namespace'> = {
  authorise: false,
  allow: ['presence', 'history'],
  joins: true,
  schema: null,
}

/** Takes the name of a room as clients write it apart; undefined for anything that is none. */
export function parseChannelName(
  name: string,
): { kind: ChannelKind; id: string; namespace: string } | undefined {
  const [, kind, id = '', namespace = ''] =
    /^(room|latest):(([a-z0-9]{1,64})[a-z0-9-]{0,63})$/.exec(name) ?? []
  if (kind === undefined || id.length > 64) return undefined
  return { kind: kind as ChannelKind, id, namespace }
}

/** `live.<tenant>.latest.<id>`: heard by who listens now, kept by nobody. */
export function latestSubject(tenant: string, id: string): string {
  return `live.${assertToken(tenant, 'tenant')}.latest.${assertToken(id, 'latest id')}`
}

/** `live.<tenant>.presence.<id>`: who came to a room and who left it. */
export function presenceSubject(tenant: string, id: string): string {
  return `live.${assertToken(tenant, 'tenant')}.presence.${assertToken(id, 'room id')}`
}

/** Questions that processes of the mesh answer each other: one request, one reply, nothing kept. */
export const ASKS = ['inbox', 'channel-rules', 'standing'] as const
export type Ask = (typeof ASKS)[number]

/** `ask.<what>.<tenant>` */
export function askSubject(what: Ask, tenant: string): string {
  return `ask.${what}.${assertToken(tenant, 'tenant')}`
}

/** `ask.session.<node>`: commands of a client whose stream another node holds. */
export function sessionSubject(node: string): string {
  return `ask.session.${assertToken(node, 'node')}`
}

/** `ask.channel.<tenant>.<namespace>`: whether somebody may do something in a room; services answer. */
export function authoriseSubject(tenant: string, namespace: string): string {
  return `ask.channel.${assertToken(tenant, 'tenant')}.${assertToken(namespace, 'namespace')}`
}

/** What a service is asked by realtime before it lets somebody into a room, or publish there. */
export interface AuthoriseQuestion {
  channel: string
  /** The user as the outside calls them. */
  user: string
  action: 'subscribe' | 'publish'
  /** What would be published. */
  data?: unknown
}

/** A service's answer. */
export interface AuthoriseAnswer {
  allow: boolean
  /** What else they may do while subscribed; besides what the rule allows. */
  permissions?: readonly ChannelPermission[]
  /** Asked again after so long, at most a day; 300 when absent. */
  expiresInSeconds?: number
  /** Shown to others in the room beside the user's id. */
  info?: unknown
}

/**
 * Where realtime asks who may not be connected any more, of many tenants at once. `_` is nobody's tenant, so that who may
 * ask and answer `ask.standing.<tenant>` may this.
 */
export const STANDING_SUBJECT = 'ask.standing._'

/** Which of these users may not be connected (any more): suspended, deleted, or all of a tenant that is suspended. */
export interface StandingQuestion {
  /** Internal ids by tenant, at most `MAX_STANDING_USERS` in all. */
  tenants: Readonly<Record<string, readonly string[]>>
}

/** The answer to it. */
export interface StandingAnswer {
  fallen: readonly string[]
}

export const MAX_STANDING_USERS = 500

/** An operation on somebody's inbox that came over their realtime connection. */
export interface InboxQuestion {
  method: InboxMethod
  params: unknown
  user: { id: string; externalId: string }
}

/** Names of the operations, as parts of the HTTP interface call them. */
export const INBOX_METHODS = [
  'inbox',
  'inbox.unread',
  'inbox.seen',
  'inbox.read',
  'inbox.archived',
  'inbox.snoozed',
  'inbox.delete',
  'inbox.read-all',
] as const
export type InboxMethod = (typeof INBOX_METHODS)[number]

/** `status` is HTTP's; a refusal is a problem as the HTTP interface gives it. */
export type InboxReply =
  | { ok: true; data: unknown }
  | { ok: false; status: number; code: string; detail: string }

/** Who published something into a room, as subscribers see it. */
export interface PublicationInfo {
  /** The user as the outside calls them; empty for a service. */
  user: string
  /** The connection; empty for a service. */
  client: string
  /** What the authorisation said of the user. */
  info?: unknown
}

/** Who came and who left since the last such message: who left is taken away before who joined is added. */
export interface PresenceChanges {
  joined: readonly PublicationInfo[]
  left: readonly PublicationInfo[]
}
