export { configSchema, type RealtimeConfig } from './config.js'
export { TOKEN_COOKIE } from './handshake.js'
export { type RealtimeDeps, start } from './start.js'
