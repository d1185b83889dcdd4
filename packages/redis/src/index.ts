export { openRedis, type RedisConnection, type RedisHealth, type RedisOptions } from './connection.js'
export { RedisError, type RedisErrorCode } from './errors.js'
export {
  createRateLimiter,
  type LimitVerdict,
  type RateLimiter,
  type RateLimiterOptions,
} from './rate-limiter.js'
export { createTickets, type TicketClaims, type TicketOptions, type Tickets } from './tickets.js'
