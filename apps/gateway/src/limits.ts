import { HttpProblem } from '@carillon/service'
import type { FastifyReply } from 'fastify'

export interface LimitPolicy {
  /** Requests, or messages, within the window. */
  limit: number
  windowMs: number
}

export interface Taken {
  allowed: boolean
  limit: number
  remaining: number
  /** Until there is room again, or the window is over. */
  resetMs: number
}

/** Counts requests, or messages, per name. Never rejects. */
export interface RateLimiter {
  /** Takes `points` (1 unless given) or none; more than the limit are never allowed. */
  take(name: string, policy: LimitPolicy, points?: number): Taken | Promise<Taken>
}

const MAX_NAMES = 50_000

/**
 * A sliding window of this process: the last window's count is weighed by how much of it still counts. Exact to a few
 * percent, in constant memory; the least recently begun names are forgotten first.
 */
export function createLocalLimiter(now: () => number): RateLimiter {
  const windows = new Map<string, { start: number; count: number; before: number }>()
  return {
    take(name, { limit, windowMs }, points = 1) {
      const moment = now()
      const start = moment - (moment % windowMs)
      let window = windows.get(name)
      if (window === undefined || window.start !== start) {
        const before = window?.start === start - windowMs ? window.count : 0
        windows.delete(name)
        if (windows.size >= MAX_NAMES) windows.delete(windows.keys().next().value as string)
        window = { start, count: 0, before }
        windows.set(name, window)
      }
      const used = window.count + window.before * (1 - (moment - start) / windowMs)
      const allowed = used + points - 1 < limit
      if (allowed) window.count += points
      return {
        allowed,
        limit,
        remaining: Math.max(0, Math.floor(limit - used - (allowed ? points : 0))),
        resetMs: start + windowMs - moment,
      }
    },
  }
}

/** Says what is left, in today's and in the older headers. */
export function limitHeaders(reply: FastifyReply, taken: Taken, policy: LimitPolicy): void {
  const reset = Math.ceil(taken.resetMs / 1000)
  reply.header('ratelimit-policy', `"default";q=${policy.limit};w=${policy.windowMs / 1000}`)
  reply.header('ratelimit', `"default";r=${taken.remaining};t=${reset}`)
  reply.header('x-ratelimit-limit', taken.limit)
  reply.header('x-ratelimit-remaining', taken.remaining)
  reply.header('x-ratelimit-reset', reset)
}

export function tooMany(taken: Taken): HttpProblem {
  const seconds = Math.max(1, Math.ceil(taken.resetMs / 1000))
  return new HttpProblem(429, 'RATE_LIMITED', `Too many requests. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
}
