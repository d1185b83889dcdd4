import type { Logger, Metrics } from '@carillon/service'

/** One function per business event of the gateway: its line in the log and its counter. */
export interface GatewayEvents {
  accepted(kind: 'event' | 'trigger' | 'notification' | 'receipt' | 'publication', count: number): void
  refused(why: 'limit' | 'scope' | 'broker'): void
  changed(action: string, tenant: string, correlationId: string): void
  /** Dead letters that were sent off again, and how many were not, by why. */
  redriven(count: number, refused: Readonly<Record<string, number>>): void
  /** A question that came over NATS: `ok`, or the code of the refusal. */
  answered(what: string, outcome: string): void
  answerFailed(subject: string, error: unknown): void
  leftForRelay(count: number, error: unknown): void
  auditLost(action: string, error: unknown): void
}

export function createGatewayEvents({
  logger,
  metrics,
}: {
  logger: Logger
  metrics: Metrics
}): GatewayEvents {
  const accepted = metrics.counter({
    name: 'gateway_accepted_total',
    help: 'What was taken: acknowledged on disk, or published to who listens.',
    labels: ['kind'],
  })
  const refused = metrics.counter({
    name: 'gateway_refused_total',
    help: 'Requests refused, by why.',
    labels: ['why'],
  })
  const changed = metrics.counter({
    name: 'gateway_changes_total',
    help: 'Management calls that changed something.',
    labels: ['action'],
  })
  const redriven = metrics.counter({
    name: 'gateway_redriven_total',
    help: 'Dead letters that somebody wanted sent off again, by what came of it.',
    labels: ['outcome'],
  })
  const answered = metrics.counter({
    name: 'gateway_answers_total',
    help: 'Questions of other processes that were answered, by what came of it.',
    labels: ['what', 'outcome'],
  })
  const failures = metrics.counter({
    name: 'gateway_failures_total',
    help: 'Trouble that the gateway went around.',
    labels: ['what'],
  })
  return {
    accepted(kind, count) {
      accepted.inc({ kind }, count)
    },
    refused(why) {
      refused.inc({ why })
    },
    changed(action, tenant, correlationId) {
      changed.inc({ action })
      logger.info({ action, tenant, correlationId }, 'change.made')
    },
    redriven(count, refused) {
      redriven.inc({ outcome: 'queued' }, count)
      for (const [outcome, many] of Object.entries(refused)) redriven.inc({ outcome }, many)
      logger.info({ redriven: count, ...refused }, 'dead-letters.redriven')
    },
    answered(what, outcome) {
      answered.inc({ what, outcome })
    },
    answerFailed(subject, error) {
      failures.inc({ what: 'answer' })
      logger.error({ subject, err: error }, 'answer.failed')
    },
    leftForRelay(count, error) {
      failures.inc({ what: 'outbox' })
      logger.warn({ count, err: error }, 'outbox.left')
    },
    auditLost(action, error) {
      failures.inc({ what: 'audit' })
      logger.error({ action, err: error }, 'audit.lost')
    },
  }
}
