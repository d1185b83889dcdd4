import type { ClosedAttempt } from '@carillon/postgres'
import type { Logger, Metrics } from '@carillon/service'

/** One function per business event of the delivery workers. */
export interface DeliveryEvents {
  attempted(channel: string, attempts: readonly ClosedAttempt[], ms: number): void
  held(provider: string, tenant: string, reason: string, untilMs: number): void
  retired(devices: number): void
  suppressed(addresses: number): void
  /** Attempts after one whose outcome nobody knows: what may ring twice. */
  repeated(channel: string, attempts: number): void
  massDeath(provider: string, tenant: string): void
  ended(channel: string, status: string, count: number): void
  failed(stage: string, error: unknown): void
}

export function createDeliveryEvents({
  logger,
  metrics,
}: {
  logger: Logger
  metrics: Metrics
}): DeliveryEvents {
  const attempts = metrics.counter({
    name: 'delivery_attempts_total',
    help: 'Attempts by channel, provider and verdict.',
    labels: ['channel', 'provider', 'verdict'],
  })
  const outcomes = metrics.counter({
    name: 'delivery_outcomes_total',
    help: 'What became of deliveries.',
    labels: ['channel', 'status'],
  })
  const seconds = metrics.histogram({
    name: 'delivery_batch_seconds',
    help: 'From claiming a batch to its closed rows.',
    labels: ['channel'],
  })
  const holds = metrics.counter({
    name: 'delivery_holds_total',
    help: 'Providers put on hold.',
    labels: ['provider'],
  })
  const repeats = metrics.counter({
    name: 'delivery_repeats_total',
    help: 'Attempts after one of unknown outcome: they may have rung twice.',
    labels: ['channel'],
  })
  const failures = metrics.counter({
    name: 'delivery_failures_total',
    help: 'Passes that failed and are repeated.',
    labels: ['stage'],
  })
  return {
    attempted(channel, closed, ms) {
      seconds.observe({ channel }, ms / 1000)
      for (const attempt of closed) {
        attempts.inc({ channel, provider: attempt.provider ?? 'none', verdict: attempt.verdict })
        outcomes.inc({ channel, status: attempt.status })
        logger.debug(
          {
            deliveryId: attempt.id,
            attempt: attempt.attempt,
            verdict: attempt.verdict,
            status: attempt.status,
            detail: attempt.detail,
          },
          'delivery.attempted',
        )
      }
    },
    held(provider, tenant, reason, untilMs) {
      holds.inc({ provider })
      logger.error({ provider, tenant, reason, until: new Date(untilMs).toISOString() }, 'provider.held')
    },
    retired(devices) {
      logger.info({ devices }, 'devices.retired')
    },
    suppressed(addresses) {
      logger.info({ addresses }, 'addresses.suppressed')
    },
    repeated(channel, count) {
      repeats.inc({ channel }, count)
    },
    massDeath(provider, tenant) {
      logger.error({ provider, tenant }, 'provider.mass-death')
    },
    ended(channel, status, count) {
      outcomes.inc({ channel, status }, count)
    },
    failed(stage, error) {
      failures.inc({ stage })
      logger.error({ stage, err: error }, 'delivery.failed')
    },
  }
}
