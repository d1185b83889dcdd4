import type { Logger, Metrics } from '@carillon/service'
import type { DueKind } from './waker.js'

/** One function per business event of the dispatcher: its line in the log and its counter. */
export interface DispatchEvents {
  dispatched(batch: {
    events: number
    repeated: number
    runs: number
    deliveries: number
    dead: number
    ms: number
  }): void
  chunkTold(chunk: { runs: number; deliveries: number; finished: boolean; ms: number }): void
  refused(stream: string, jobs: number): void
  postponed(reason: string, events: number): void
  woken(kind: DueKind, count: number): void
  /** How late the run was that waited longest past its time. */
  late(ms: number): void
  expired(count: number): void
  failed(stage: string, error: unknown): void
  rulesLoaded(tenant: string, workflows: number, broken: readonly string[]): void
}

export function createDispatchEvents({
  logger,
  metrics,
}: {
  logger: Logger
  metrics: Metrics
}): DispatchEvents {
  const events = metrics.counter({
    name: 'dispatcher_events_total',
    help: 'Events judged, by what became of them.',
    labels: ['outcome'],
  })
  const rows = metrics.counter({
    name: 'dispatcher_rows_total',
    help: 'Runs and deliveries written.',
    labels: ['kind'],
  })
  const seconds = metrics.histogram({
    name: 'dispatcher_batch_seconds',
    help: 'From a batch of events to its rows, jobs and frames.',
  })
  const chunkSeconds = metrics.histogram({
    name: 'dispatcher_chunk_seconds',
    help: 'From one chunk of a large audience to its rows, jobs and frames.',
  })
  const woken = metrics.counter({
    name: 'dispatcher_woken_total',
    help: 'What the waker brought on its way again.',
    labels: ['kind'],
  })
  const lateness = metrics.histogram({
    name: 'dispatcher_wake_lateness_seconds',
    help: 'How long past its time the latest run of a batch was woken.',
  })
  const refused = metrics.counter({
    name: 'dispatcher_jobs_refused_total',
    help: 'Jobs that found no room and are kept as rows.',
    labels: ['stream'],
  })
  const failures = metrics.counter({
    name: 'dispatcher_failures_total',
    help: 'Passes that failed and are repeated.',
    labels: ['stage'],
  })
  return {
    dispatched(batch) {
      events.inc({ outcome: 'dispatched' }, batch.events - batch.repeated - batch.dead)
      events.inc({ outcome: 'repeated' }, batch.repeated)
      events.inc({ outcome: 'dead' }, batch.dead)
      rows.inc({ kind: 'run' }, batch.runs)
      rows.inc({ kind: 'delivery' }, batch.deliveries)
      seconds.observe(batch.ms / 1000)
      logger.debug(batch, 'events.dispatched')
    },
    chunkTold(chunk) {
      rows.inc({ kind: 'run' }, chunk.runs)
      rows.inc({ kind: 'delivery' }, chunk.deliveries)
      chunkSeconds.observe(chunk.ms / 1000)
      if (chunk.finished) logger.info(chunk, 'fanout.finished')
      else logger.debug(chunk, 'chunk.told')
    },
    refused(stream, jobs) {
      refused.inc({ stream }, jobs)
      logger.warn({ stream, jobs }, 'jobs.refused')
    },
    postponed(reason, count) {
      failures.inc({ stage: 'publish' })
      logger.warn({ reason, events: count }, 'events.postponed')
    },
    woken(kind, count) {
      woken.inc({ kind }, count)
      logger.debug({ kind, count }, 'rows.woken')
    },
    late(ms) {
      lateness.observe(Math.max(ms, 0) / 1000)
    },
    expired(count) {
      woken.inc({ kind: 'expired' }, count)
      logger.info({ count }, 'deliveries.expired')
    },
    failed(stage, error) {
      failures.inc({ stage })
      logger.error({ stage, err: error }, 'dispatch.failed')
    },
    rulesLoaded(tenant, workflows, broken) {
      if (broken.length > 0) logger.error({ tenant, broken }, 'workflows.broken')
      logger.info({ tenant, workflows }, 'workflows.loaded')
    },
  }
}
