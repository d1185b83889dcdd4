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

  const askFor = async (name: string, policy: LimitPolicy, points: number): Promise<Taken> => {
    const limiter = limiterOf(policy)
    const share = shareOf(policy)
    const whole = await limiter.take(name, share)
    if (whole.allowed) return lend(name, share, whole)
    // less than a share is left
    const rest = await limiter.take(name, points)
    return rest.allowed ? lend(name, points, rest) : rest
  }

  const valid = (lease: Lease | undefined): lease is Lease => lease !== undefined && lease.until > now()

  /** On top of what is left of the share before, which is too little for who asks. */
  const lend = (name: string, points: number, taken: Taken): Taken => {
    const before = leases.get(name)
    const left = points + (valid(before) ? before.left : 0)
    leases.delete(name)
    if (leases.size >= MAX_LEASES) leases.delete(leases.keys().next().value as string)
    leases.set(name, { left, until: now() + taken.resetMs, taken })
    return taken
  }

  return {
    async take(name, policy, points = 1) {
      if (points > shareOf(policy)) return limiterOf(policy).take(name, points)
      for (;;) {
        const lease = leases.get(name)
        if (valid(lease) && lease.left >= points) {
          lease.left -= points
          return {
            ...lease.taken,
            remaining: lease.taken.remaining + lease.left,
            resetMs: Math.max(0, lease.until - now()),
          }
        }
        const asker = `${points} ${name}`
        let question = asked.get(asker)
        if (question === undefined) {
          question = askFor(name, policy, points).finally(() => asked.delete(asker))
          asked.set(asker, question)
        }
        const taken = await question
        if (!taken.allowed) return taken
      }
    },
  }
}

/** So much of a limit is taken from Redis at a time; of small limits nothing, so that each request asks. */
function shareOf({ limit }: LimitPolicy): number {
  const share = Math.floor(limit / 1_000)
  return share <= 1 ? 0 : share
}
