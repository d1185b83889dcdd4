import type { Logger, Metrics } from '@carillon/service'

/** One function per business event of the history. */
export interface HistoryEvents {
  recorded(batch: {
    receipts: number
    fresh: number
    deliveries: number
    notifications: number
    suppressed: number
  }): void
  failed(stage: string, error: unknown): void
}

export function createHistoryEvents({
  logger,
  metrics,
}: {
  logger: Logger
  metrics: Metrics
}): HistoryEvents {
  const receipts = metrics.counter({
    name: 'history_receipts_total',
    help: 'Receipts by whether they were new.',
    labels: ['kind'],
  })
  const failures = metrics.counter({
    name: 'history_failures_total',
    help: 'Passes that failed and are repeated.',
    labels: ['stage'],
  })
  const suppressed = metrics.counter({
    name: 'history_suppressed_total',
    help: 'Addresses that nothing is sent to any more.',
  })
  return {
    recorded(batch) {
      if (batch.suppressed > 0) suppressed.inc({}, batch.suppressed)
      receipts.inc({ kind: 'new' }, batch.fresh)
      receipts.inc({ kind: 'repeated' }, batch.receipts - batch.fresh)
      logger.debug(batch, 'receipts.recorded')
    },
    failed(stage, error) {
      failures.inc({ stage })
      logger.error({ stage, err: error }, 'history.failed')
    },
  }
}
