import closeWithGrace from 'close-with-grace'
import { CarillonError } from './errors.js'
import { createHealth, type Health } from './health.js'
import { createLogger, type Logger } from './logger.js'
import { createMetrics, type Metrics } from './metrics.js'
import type { Service } from './service.js'

/** What every role gets from its process. */
export interface ProcessDeps {
  logger: Logger
  metrics: Metrics
  health: Health
}

/** Longest an ordered shutdown may take before the process ends anyway. */
const SHUTDOWN_MS = 30_000

/**
 * Runs one role as a process: starts it, waits for SIGTERM or SIGINT, drains and disposes it. Exit codes: 0 after an
 * ordered stop, 2 for a configuration that can't work, 1 for everything else.
 */
export async function runProcess(options: {
  name: string
  logLevel?: string
  start: (deps: ProcessDeps) => Promise<Service>
}): Promise<void> {
  const logger = createLogger({ name: options.name, level: options.logLevel ?? 'info' })
  const deps = { logger, metrics: createMetrics({ processMetrics: true }), health: createHealth() }
  let service: Service
  try {
    service = await options.start(deps)
  } catch (error) {
    const known = error instanceof CarillonError ? error : undefined
    logger.fatal({ code: known?.code, remedy: known?.remedy, err: error }, 'process.failed-to-start')
    process.exitCode = known?.code === 'CONFIG_INVALID' ? 2 : 1
    return
  }
  closeWithGrace(
    { delay: SHUTDOWN_MS, logger: { error: (line: string) => logger.error(line) } },
    async ({ err, signal }) => {
      if (err !== undefined) logger.fatal({ err }, 'process.crashed')
      else logger.info({ signal }, 'process.stopping')
      await service.drain()
      await service[Symbol.asyncDispose]()
      logger.info('process.stopped')
    },
  )
  // said last: who reads it may ask for the end at once
  logger.info('process.started')
}
