export { DeliveryConfig } from './config.js'
export { type DeliveryDeps, start } from './start.js'
