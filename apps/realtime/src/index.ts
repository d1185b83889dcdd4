export { configSchema, MAX_EVENT_LOOP_DELAY_MS, type RealtimeConfig } from './config.js'
export { TOKEN_COOKIE } from './routes/handshake.js'
export { type RealtimeDeps, start } from './start.js'
export { type Cursor, decodeCursor } from './stream/cursor.js'
