export { NOTIFICATION_TYPE, TRIGGER_TYPE } from './assign.js'
export { DispatcherConfig } from './config.js'
export { type DispatcherDeps, start } from './start.js'
