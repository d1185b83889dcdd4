import type { Logger, Metrics } from '@carillon/service'

/** One function per business event of the history. */
export interface HistoryEvents {
  recorded(batch: {
    receipts: number
    fresh: number
    deliveries: number
    notifications: number
    suppressed: number
    dead: readonly { channel: string; reason: string }[]
  }): void
  /** A device said that it arrived. */
  answered(channel: string, afterMs: number): void
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
  const deadLetters = metrics.counter({
    name: 'history_dead_letters_total',
    help: 'Deliveries that failed, again after they were sent off again too.',
    labels: ['channel', 'reason'],
  })
  const answers = metrics.histogram({
    name: 'history_answer_seconds',
    help: "From a provider's acceptance to the device's own word; what a silent push took to be answered.",
    labels: ['channel'],
    buckets: [0.1, 0.5, 1, 5, 30, 60, 300, 3600, 86_400],
  })
  return {
    answered(channel, afterMs) {
      answers.observe({ channel }, afterMs / 1000)
    },
    recorded({ dead, ...batch }) {
      for (const { channel, reason } of dead) deadLetters.inc({ channel, reason })
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
