export { GatewayConfig, GatewayEngines } from './config.js'
export type { Position } from './edge-deps.js'
export { type GatewayDeps, start } from './start.js'
