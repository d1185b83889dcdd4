import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'

/** One JSON line per business event; no payloads, no tokens. */
export type Logger = PinoLogger

/** Paths that never reach a log, whoever passes them. */
const REDACTED = [
  'authorization',
  'cookie',
  'token',
  'password',
  'secret',
  'credentials',
  '*.authorization',
  '*.cookie',
  '*.token',
  '*.password',
  '*.secret',
  '*.credentials',
]

/** A logger for one process or role. `level` is pino's; `silent` turns it off. */
export function createLogger(options: {
  name: string
  level?: string
  destination?: DestinationStream
}): Logger {
  const settings = {
    name: options.name,
    level: options.level ?? 'info',
    redact: { paths: REDACTED, censor: '[redacted]' },
    base: { name: options.name },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination)
}
