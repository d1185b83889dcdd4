export { GatewayConfig, GatewayEngines } from './config.js'
export type { Position } from './edge-deps.js'
export type { LimitPolicy, RateLimiter, Taken } from './limits.js'
export { type GatewayDeps, start } from './start.js'
