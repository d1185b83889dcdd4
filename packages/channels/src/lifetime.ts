import type { Message } from './message.js'

const DAY_SECONDS = 86_400

/** Whole seconds a provider may keep the message, from `ttlSeconds` and `expiresAt`; one day when neither says. */
export function secondsToLive(message: Message, nowMs: number, maxSeconds: number): number {
  const byTtl = message.ttlSeconds ?? DAY_SECONDS
  const byExpiry =
    message.expiresAt === undefined ? byTtl : Math.max(0, Math.floor((message.expiresAt - nowMs) / 1000))
  return Math.max(
    0,
    Math.min(byTtl, message.ttlSeconds === undefined ? byExpiry : Math.min(byTtl, byExpiry), maxSeconds),
  )
}

/** True once nothing may be sent any more. */
export function isExpired(message: Message, nowMs: number): boolean {
  return message.expiresAt !== undefined && message.expiresAt <= nowMs
}
