import { createRateLimiter, type RedisConnection, type RateLimiter as SharedLimiter } from '@carillon/redis'
import type { LimitPolicy, RateLimiter, Taken } from './limits.js'

interface Lease {
  left: number
  until: number
  taken: Taken
}

const MAX_LEASES = 50_000

/**
 * Counts in Redis, so that all gateways share a limit. Large limits are taken in shares of a thousandth and spent here:
 * one question to Redis per share instead of per request, and exact to a thousandth per process. While Redis is away
 * each process counts for itself.
 */
export function createSharedLimiter(redis: RedisConnection, now: () => number): RateLimiter {
  const limiters = new Map<string, SharedLimiter>()
  const leases = new Map<string, Lease>()
  const asked = new Map<string, Promise<Taken>>()

  const limiterOf = (policy: LimitPolicy): SharedLimiter => {
    const name = `${policy.limit}-${policy.windowMs}`
    const found = limiters.get(name) ?? createRateLimiter(redis, { name, ...policy })
    limiters.set(name, found)
    return found
  }

  const askFor = async (name: string, policy: LimitPolicy, share: number): Promise<Taken> => {
    const limiter = limiterOf(policy)
    const whole = await limiter.take(name, share)
    if (whole.allowed) return lend(name, share, whole)
    // less than a share is left
    const single = await limiter.take(name, 1)
    return single.allowed ? lend(name, 1, single) : single
  }

  const lend = (name: string, left: number, taken: Taken): Taken => {
    leases.delete(name)
    if (leases.size >= MAX_LEASES) leases.delete(leases.keys().next().value as string)
    leases.set(name, { left, until: now() + taken.resetMs, taken })
    return taken
  }

  return {
    async take(name, policy) {
      const share = Math.floor(policy.limit / 1_000)
      if (share <= 1) return limiterOf(policy).take(name)
      for (;;) {
        const lease = leases.get(name)
        if (lease !== undefined && lease.left > 0 && lease.until > now()) {
          lease.left--
          return {
            ...lease.taken,
            remaining: lease.taken.remaining + lease.left,
            resetMs: Math.max(0, lease.until - now()),
          }
        }
        let question = asked.get(name)
        if (question === undefined) {
          question = askFor(name, policy, share).finally(() => asked.delete(name))
          asked.set(name, question)
        }
        const taken = await question
        if (!taken.allowed) return taken
      }
    },
  }
}
