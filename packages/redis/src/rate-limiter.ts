import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { RedisConnection } from './connection.js'
import { SLIDING_WINDOW_LUA } from './sliding-window.js'

export interface RateLimiterOptions {
  /** Which limit this is: part of the key and of the `RateLimit-Policy` header. */
  name: string
  /** Most points in a window. */
  limit: number
  /** Whole seconds; others are rounded up. */
  windowMs: number
  /** Limit of this process alone while Redis is away. Default `limit`: each process then allows as much. */
  localLimit?: number
}

export interface LimitVerdict {
  allowed: boolean
  limit: number
  remaining: number
  /** Refused: when there is room again. Allowed: when the present window ends. */
  resetMs: number
  /** Counted by this process alone, since Redis is away. */
  degraded: boolean
}

export interface RateLimiter {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
  /** Takes `points` (default 1) from what `key` has left. Never throws. Refused attempts do not count. */
  take(key: string, points?: number): Promise<LimitVerdict>
}

class InsuredLimiter implements RateLimiter {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
  readonly #redis: RedisConnection
  readonly #shared: RateLimiterRedis
  readonly #local: RateLimiterMemory

  constructor(redis: RedisConnection, options: RateLimiterOptions) {
    const duration = Math.max(1, Math.ceil(options.windowMs / 1000))
    this.name = options.name
    this.limit = options.limit
    this.windowMs = duration * 1000
    this.#redis = redis
    this.#shared = new RateLimiterRedis({
      storeClient: redis.client,
      keyPrefix: `limit:${options.name}`,
      points: options.limit,
      duration,
      customIncrTtlLuaScript: SLIDING_WINDOW_LUA,
    })
    this.#local = new RateLimiterMemory({
      keyPrefix: options.name,
      points: options.localLimit ?? options.limit,
      duration,
    })
  }

  async take(key: string, points = 1): Promise<LimitVerdict> {
    try {
      return this.#verdict(await this.#redis.run(() => consume(this.#shared, key, points)), false)
    } catch {
      // Redis is away: `run` throws nothing else. A limit that fails open would invite exactly that.
      return this.#verdict(await consume(this.#local, key, points), true)
    }
  }

  #verdict({ allowed, state }: Consumed, degraded: boolean): LimitVerdict {
    const limit = degraded ? this.#local.points : this.limit
    return {
      allowed,
      limit,
      remaining: allowed ? state.remainingPoints : 0,
      resetMs: state.msBeforeNext,
      degraded,
    }
  }
}

interface Consumed {
  allowed: boolean
  state: RateLimiterRes
}

/** The library rejects with the state when the limit is reached, with an error when the store fails. */
async function consume(
  limiter: RateLimiterRedis | RateLimiterMemory,
  key: string,
  points: number,
): Promise<Consumed> {
  try {
    return { allowed: true, state: await limiter.consume(key, points) }
  } catch (refused) {
    if (refused instanceof RateLimiterRes) return { allowed: false, state: refused }
    throw refused
  }
}

/** A limit shared by all processes through Redis, kept by each for itself while Redis is away. */
export function createRateLimiter(redis: RedisConnection, options: RateLimiterOptions): RateLimiter {
  return new InsuredLimiter(redis, options)
}
