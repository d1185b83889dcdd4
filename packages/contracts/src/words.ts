/** Lanes are separate queues end to end, so that a flood in one can't hold up another. */
export const LANES = ['high', 'normal', 'bulk'] as const
export type Lane = (typeof LANES)[number]

/** Ways to reach a recipient. `inbox` is stored and shown; the others go through a provider. */
export const CHANNELS = ['inbox', 'push', 'email', 'sms', 'webhook'] as const
export type Channel = (typeof CHANNELS)[number]

/** Channels with a provider behind them: each has a stream of jobs and delivery rows of its own. */
export const DELIVERY_CHANNELS = ['push', 'email', 'sms', 'webhook'] as const
export type DeliveryChannel = (typeof DELIVERY_CHANNELS)[number]

export const RUN_STATES = [
  'queued',
  'running',
  'waiting',
  'digested',
  'completed',
  'skipped',
  'cancelled',
  'failed',
] as const
export type RunState = (typeof RUN_STATES)[number]

export const DELIVERY_STATUSES = [
  'queued',
  'sending',
  'retrying',
  'sent',
  'delivered',
  'failed',
  'expired',
  'skipped',
  'withdrawn',
] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

/** Why a run or a delivery was skipped, failed or expired. Every such row carries one. */
export const REASONS = [
  'NO_MATCH',
  'NO_RECIPIENT',
  'UNSUBSCRIBED',
  'OPT_IN_REQUIRED',
  'QUIET_HOURS',
  'FREQUENCY_CAPPED',
  'THROTTLED',
  'DIGESTED',
  'NO_ADDRESS',
  'ALREADY_SEEN',
  'ONLINE',
  'EXPIRED',
  'CANCELLED',
  'CONDITION_FALSE',
  'DUPLICATE',
  'PROVIDER_REJECTED',
  'PROVIDER_UNAVAILABLE',
  'ADDRESS_INVALID',
  'PAYLOAD_INVALID',
  'CONFIGURATION',
] as const
export type Reason = (typeof REASONS)[number]

/**
 * Order in which facts move a delivery's status: a later one never overwrites an equal or a higher rank, so a late
 * `sent` can't undo `delivered`, and what has ended stays as it ended. Proof of arrival alone stands above: what was
 * given up after an attempt without an answer may have arrived all the same.
 */
export const DELIVERY_RANK: Readonly<Record<DeliveryStatus, number>> = {
  queued: 0,
  retrying: 1,
  sending: 2,
  sent: 3,
  delivered: 5,
  failed: 4,
  expired: 4,
  skipped: 4,
  withdrawn: 4,
}

/** True once nothing is tried any more. `sent` stays open until a device acknowledges. */
export function isTerminal(status: DeliveryStatus): boolean {
  return DELIVERY_RANK[status] >= DELIVERY_RANK.failed
}
