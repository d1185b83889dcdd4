export { HistoryConfig } from './config.js'
export { type HistoryDeps, start } from './start.js'
