import type { ChannelPermission, ChannelRule, PublicationInfo } from '@carillon/contracts'

/** What is published into a room besides its data. */
export interface PublishToOptions {
  /** `latest:` only, refused for a `room:`: newer ones of the same key replace it, for who is slow. */
  key?: string
  /** `room:` only: stored once for this key within two minutes. A random one unless given, so that retries are safe. */
  idempotencyKey?: string
  /** Shown as the publisher: the user as you call them. Nobody unless given. */
  from?: string
}

export interface RoomPublication extends PublishToOptions {
  /** `room:<id>` or `latest:<id>` */
  channel: string
  /** An object, at most 32 KiB as JSON. */
  data: object
}

/** Where a publication stands in its room; empty for `latest:`, which keeps nothing. */
export interface PublishedTo {
  offset?: number
  /** What offsets count from. */
  epoch?: string
}

export interface UserTokenOptions {
  /** 60 to 86,400; 3,600 unless given. */
  ttlSeconds?: number
  /** What the token allows in which rooms: names, or beginnings with `*` as the last character. At most 100. */
  channels?: Readonly<Record<string, readonly ChannelPermission[]>>
}

export interface ChannelTokenOptions {
  /** `subscribe` unless given. */
  permissions?: readonly ChannelPermission[]
  /** 60 to 86,400; 3,600 unless given. */
  ttlSeconds?: number
  /** Shown to others in the room beside the user; at most 1,024 bytes as JSON. */
  info?: unknown
}

export interface IssuedToken {
  token: string
  expiresAt: string
}

export interface RoomHistoryEntry {
  offset: number
  at: string
  data: unknown
  info?: PublicationInfo
}

/** What services do with rooms and who is in them, over HTTP. */
export interface RoomCalls {
  /** Publishes into a room; resolves when it is stored, or for `latest:` when it is on its way. */
  publishTo(channel: string, data: object, options?: PublishToOptions): Promise<PublishedTo>
  /** Publishes many, in order; one that is not valid refuses the call of up to 100 that it is in. */
  publishAllTo(publications: readonly RoomPublication[]): Promise<PublishedTo[]>
  /** What is kept of a room, oldest first: the last ones, or the first after `since`. */
  channelHistory(
    channel: string,
    options?: { limit?: number; since?: number },
  ): Promise<{ publications: RoomHistoryEntry[]; epoch?: string }>
  /** A token with which a browser or an app signs in as this user. */
  userToken(userId: string, options?: UserTokenOptions): Promise<IssuedToken>
  /** A token with which this user subscribes to one channel; it lets nobody sign in. */
  channelToken(userId: string, channel: string, options?: ChannelTokenOptions): Promise<IssuedToken>
  /** Puts the whole rule of a namespace; what is absent is as by default. In force within ten seconds. */
  putChannelRule(namespace: string, rule: Partial<Omit<ChannelRule, 'namespace'>>): Promise<ChannelRule>
  /** Takes a rule away; one that isn't there is no error. */
  deleteChannelRule(namespace: string): Promise<void>
  channelRules(): Promise<ChannelRule[]>
}

export type JsonCall = <T>(method: string, path: string, body?: unknown) => Promise<T>

/** Most publications of one call, and how long it may be: the edge takes 256 KiB. */
const BATCH = 100
const BATCH_BYTES = 200_000

export function roomCalls(json: JsonCall, isUnknown: (error: unknown) => boolean): RoomCalls {
  const at = (channel: string, what: string) => `/v1/channels/${encodeURIComponent(channel)}/${what}`
  const user = (id: string, what: string) => `/v1/users/${encodeURIComponent(id)}/${what}`
  const rule = (namespace: string) => `/v1/channel-rules/${encodeURIComponent(namespace)}`
  return {
    publishTo(channel, data, options = {}) {
      return json('POST', at(channel, 'publish'), { data, ...repeatable(channel, options) })
    },
    async publishAllTo(publications) {
      const places: PublishedTo[] = []
      for (const batch of batchesOf(publications)) {
        const { publications: placed, epoch } = await json<{ publications: PublishedTo[]; epoch?: string }>(
          'POST',
          '/v1/channels/publish',
          { publications: batch },
        )
        for (const { offset } of placed) {
          places.push(offset === undefined ? {} : { offset, ...(epoch === undefined ? {} : { epoch }) })
        }
      }
      return places
    },
    channelHistory(channel, { limit, since } = {}) {
      const query = new URLSearchParams()
      if (limit !== undefined) query.set('limit', String(limit))
      if (since !== undefined) query.set('since', String(since))
      return json('GET', `${at(channel, 'history')}?${query}`)
    },
    userToken: (id, options = {}) => json('POST', user(id, 'token'), options),
    channelToken: (id, channel, options = {}) =>
      json('POST', user(id, 'channel-tokens'), { channel, ...options }),
    putChannelRule: (namespace, given) => json('PUT', rule(namespace), given),
    async deleteChannelRule(namespace) {
      try {
        await json('DELETE', rule(namespace))
      } catch (error) {
        if (!isUnknown(error)) throw error
      }
    },
    async channelRules() {
      return (await json<{ rules: ChannelRule[] }>('GET', '/v1/channel-rules')).rules
    },
  }
}

function repeatable(channel: string, options: PublishToOptions): PublishToOptions {
  const { key, idempotencyKey = crypto.randomUUID(), from } = options
  return {
    ...(key === undefined ? {} : { key }),
    ...(channel.startsWith('room:') ? { idempotencyKey } : {}),
    ...(from === undefined ? {} : { from }),
  }
}

function* batchesOf(publications: readonly RoomPublication[]): Generator<RoomPublication[]> {
  let batch: RoomPublication[] = []
  let bytes = 0
  for (const { channel, data, ...options } of publications) {
    const publication = { channel, data, ...repeatable(channel, options) }
    const size = new TextEncoder().encode(JSON.stringify(publication)).length
    if (batch.length > 0 && (batch.length === BATCH || bytes + size > BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(publication)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
