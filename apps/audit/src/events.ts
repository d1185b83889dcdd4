import type { Logger, Metrics } from '@carillon/service'

/** One function per business event of the audit trail. */
export interface AuditEvents {
  appended(tenant: string, entries: number, repeated: number): void
  failed(stage: string, error: unknown): void
}

export function createAuditEvents({ logger, metrics }: { logger: Logger; metrics: Metrics }): AuditEvents {
  const entries = metrics.counter({
    name: 'audit_entries_total',
    help: 'Facts by whether they were new to the chain.',
    labels: ['kind'],
  })
  const failures = metrics.counter({
    name: 'audit_failures_total',
    help: 'Passes that failed and are repeated.',
    labels: ['stage'],
  })
  return {
    appended(tenant, appended, repeated) {
      entries.inc({ kind: 'new' }, appended)
      entries.inc({ kind: 'repeated' }, repeated)
      logger.debug({ tenant, appended, repeated }, 'audit.appended')
    },
    failed(stage, error) {
      failures.inc({ stage })
      logger.error({ stage, err: error }, 'audit.failed')
    },
  }
}
