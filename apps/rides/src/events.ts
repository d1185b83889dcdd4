import type { Logger, Metrics } from '@carillon/service'

/** One function per thing that happens in this service: its log line and its counter. */
export interface RidesEvents {
  outboxRefused(row: { id: string; story: string }, problem: string): void
  outboxPostponed(error: unknown): void
  positionTaken(outcome: 'moved' | 'jumped' | 'old'): void
  positionsLost(count: number, error: unknown): void
  driversFellSilent(drivers: readonly string[]): void
  /** Carillon is not there yet. */
  introductionPostponed(error: unknown): void
  introductionRefused(error: unknown): void
  /** Work beside the requests failed and is tried again. */
  workPostponed(work: string, error: unknown): void
}

export function createRidesEvents({ logger, metrics }: { logger: Logger; metrics: Metrics }): RidesEvents {
  const refused = metrics.counter({
    name: 'rides_outbox_refused_total',
    help: 'Rows of the outbox that Carillon refused for good and that were set aside.',
  })
  const positions = metrics.counter({
    name: 'rides_positions_total',
    help: 'Positions that drivers sent, by what became of them.',
    labels: ['outcome'],
  })
  const lost = metrics.counter({
    name: 'rides_positions_lost_total',
    help: 'Positions that Carillon did not take; newer ones follow.',
  })
  return {
    outboxRefused({ id, story }, problem) {
      refused.inc()
      logger.error({ row: id, story, problem }, 'outbox.refused')
    },
    outboxPostponed: (err) => logger.warn({ err }, 'outbox.postponed'),
    positionTaken: (outcome) => positions.inc({ outcome }),
    positionsLost(count, err) {
      lost.inc(count)
      logger.warn({ err, count }, 'positions.lost')
    },
    driversFellSilent: (drivers) => logger.info({ drivers }, 'drivers.fell-silent'),
    introductionPostponed: (err) => logger.info({ err }, 'channels.not-introduced-yet'),
    introductionRefused: (err) => logger.error({ err }, 'channels.not-introduced'),
    workPostponed: (work, err) => logger.warn({ work, err }, 'work.postponed'),
  }
}
