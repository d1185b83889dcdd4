export { openRedis, type RedisConnection, type RedisHealth, type RedisOptions } from './connection.js'
export { RedisError, type RedisErrorCode } from './errors.js'
export { createPresence } from './presence.js'
export type { PresenceRoom } from './presence-keys.js'
export { type Connectable, createOnline, type Online } from './presence-online.js'
export type { PlaceChanges, PresenceMember } from './presence-places.js'
export type { Presence, PresenceOptions } from './presence-port.js'
export type { PresenceCounts, PresenceView } from './presence-reading.js'
export {
  createRateLimiter,
  type LimitVerdict,
  type RateLimiter,
  type RateLimiterOptions,
} from './rate-limiter.js'
export { createTickets, type TicketClaims, type TicketOptions, type Tickets } from './tickets.js'
