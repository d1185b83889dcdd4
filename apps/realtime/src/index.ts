export { configSchema, type RealtimeConfig } from './config.js'
export { TOKEN_COOKIE } from './routes/handshake.js'
export { type RealtimeDeps, start } from './start.js'
