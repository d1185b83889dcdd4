import { type CarillonClient, CarillonClientError } from '@carillon/sdk'
import { HttpProblem } from '@carillon/service'
import type { ChannelClaim } from './chat/channel-answer.js'
import type { rideChannels } from './chat/channel-rule.js'
import type { Latest } from './driving/feed.js'
import type { Publication } from './outbox/outbox-store.js'

/** What this service asks of Carillon besides taking its events. */
export interface CarillonChannels {
  say(publication: Publication): Promise<void>
  sayLatest(batch: readonly Latest[]): Promise<void>
  putRule(rule: ReturnType<typeof rideChannels>): Promise<void>
  userToken(user: string, claims: readonly ChannelClaim[]): Promise<IssuedToken>
  channelToken(user: string, claim: ChannelClaim): Promise<IssuedToken>
}

export interface IssuedToken {
  token: string
  expiresAt: string
}

const TOKEN_SECONDS = 3_600

/** Carillon's channels by its client. `live` is the client for what isn't worth repeating. */
export function carillonChannels(carillon: CarillonClient, live: CarillonClient): CarillonChannels {
  return {
    async say({ channel, data, from, idempotencyKey }) {
      await carillon.call('POST', `/v1/channels/${channel}/publish`, { data, from, idempotencyKey })
    },
    async sayLatest(batch) {
      await live.call('POST', '/v1/channels/publish', { publications: batch })
    },
    async putRule({ namespace, ...rule }) {
      await live.call('PUT', `/v1/channel-rules/${namespace}`, rule)
    },
    userToken(user, claims) {
      const ttlSeconds = Math.min(TOKEN_SECONDS, ...claims.map((claim) => claim.ttlSeconds))
      const channels = Object.fromEntries(claims.map(({ channel, permissions }) => [channel, permissions]))
      return carillon.call('POST', `/v1/users/${encodeURIComponent(user)}/token`, {
        ttlSeconds,
        ...(claims.length === 0 ? {} : { channels }),
      })
    },
    channelToken(user, { channel, permissions, ttlSeconds }) {
      return carillon.call('POST', `/v1/users/${encodeURIComponent(user)}/channel-token`, {
        channel,
        permissions,
        ttlSeconds,
      })
    },
  }
}

/** Turns what Carillon's client throws into an answer of ours; anything else is thrown on. */
export function carillonProblem(cause: unknown, detail: string): HttpProblem {
  if (!(cause instanceof CarillonClientError)) throw cause
  return new HttpProblem(503, 'CARILLON_UNAVAILABLE', detail, { headers: { 'retry-after': '5' }, cause })
}
