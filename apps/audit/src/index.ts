export { AuditConfig } from './config.js'
export { type AuditDeps, start } from './start.js'
