import type { DeliveryChannel, Lane } from './words.js'

/** Names of the streams in nats/topology.yaml. */
export const STREAMS = {
  events: 'EVENTS',
  jobsPush: 'JOBS_PUSH',
  jobsEmail: 'JOBS_EMAIL',
  jobsSms: 'JOBS_SMS',
  jobsWebhook: 'JOBS_WEBHOOK',
  jobsFanout: 'JOBS_FANOUT',
  live: 'LIVE',
  receipts: 'RECEIPTS',
  audit: 'AUDIT',
  deadLetters: 'DEAD_LETTERS',
  advisories: 'ADVISORIES',
} as const
export type StreamName = (typeof STREAMS)[keyof typeof STREAMS]

/** The stream that carries the jobs of one channel. */
export function jobStream(channel: DeliveryChannel): StreamName {
  return `JOBS_${channel.toUpperCase()}` as StreamName
}

/** Durable consumers: one per lane where lanes exist. */
export const DURABLES = {
  history: 'history',
  audit: 'audit',
  advisories: 'advisories',
} as const

/** The dispatcher's durable on EVENTS for one lane. */
export function dispatcherDurable(lane: Lane): string {
  return `dispatcher-${lane}`
}

/** The delivery worker's durable on JOBS_<channel> for one lane. */
export function deliveryDurable(channel: DeliveryChannel, lane: Lane): string {
  return `${channel}-${lane}`
}

/** The dispatcher's durable on JOBS_FANOUT for one lane. */
export function fanoutDurable(lane: Lane): string {
  return `fanout-${lane}`
}
