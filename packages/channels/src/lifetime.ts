import type { Message } from './message.js'

const DAY_SECONDS = 86_400

/** Whole seconds a provider may keep the message: what ends sooner of `ttlSeconds` and `expiresAt`; else one day. */
export function secondsToLive(message: Message, nowMs: number, maxSeconds: number): number {
  const { ttlSeconds, expiresAt } = message
  const limits = [maxSeconds]
  if (ttlSeconds !== undefined) limits.push(ttlSeconds)
  if (expiresAt !== undefined) limits.push((expiresAt - nowMs) / 1000)
  if (limits.length === 1) limits.push(DAY_SECONDS)
  return Math.max(0, Math.floor(Math.min(...limits)))
}

/** True once nothing may be sent any more. */
export function isExpired(message: Message, nowMs: number): boolean {
  return message.expiresAt !== undefined && message.expiresAt <= nowMs
}
