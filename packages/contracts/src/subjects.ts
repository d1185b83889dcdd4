import { ContractError } from './errors.js'
import { assertToken, isWellFormed } from './tokens.js'
import { CHANNELS, type Channel, DELIVERY_CHANNELS, type DeliveryChannel, LANES, type Lane } from './words.js'

/** Most parts a CloudEvents type may have, and most bytes it may take in a subject once escaped. */
export const MAX_TYPE_TOKENS = 12
export const MAX_TYPE_BYTES = 200

const PLAIN = /^[A-Za-z0-9_-]+$/

function escapeToken(part: string): string {
  if (PLAIN.test(part)) return part
  if (part === '') return '%'
  let escaped = ''
  for (const byte of new TextEncoder().encode(part)) {
    const char = String.fromCharCode(byte)
    escaped += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return escaped
}

function unescapeToken(token: string): string {
  if (token === '%') return ''
  try {
    return decodeURIComponent(token)
  } catch {
    throw new ContractError('SUBJECT_INVALID', `"${token}" is not a valid escaped subject token.`, 'subject')
  }
}

/**
 * The last tokens of an event's subject: the dot-separated parts of its CloudEvents type, other characters
 * percent-escaped.
 * @throws ContractError `EVENT_TYPE_INVALID` over 12 parts or 200 bytes, or when it isn't well-formed text
 */
export function typeToTokens(type: string): string {
  const parts = type.split('.')
  const tokens = parts.map(escapeToken).join('.')
  const fits = type !== '' && parts.length <= MAX_TYPE_TOKENS && tokens.length <= MAX_TYPE_BYTES
  // a lone surrogate would share the subject of U+FFFD
  if (!fits || !isWellFormed(type)) {
    throw new ContractError(
      'EVENT_TYPE_INVALID',
      `The event type must be well-formed text and have 1 to ${MAX_TYPE_TOKENS} parts and at most ${MAX_TYPE_BYTES} bytes once escaped.`,
      'type',
    )
  }
  return tokens
}

/** `evt.<lane>.<tenant>.<type…>` */
export function eventSubject(lane: Lane, tenant: string, type: string): string {
  return `evt.${lane}.${assertToken(tenant, 'tenant')}.${typeToTokens(type)}`
}

/** Takes an event's subject apart. @throws ContractError `SUBJECT_INVALID` */
export function parseEventSubject(subject: string): { lane: Lane; tenant: string; type: string } {
  const [root, lane, tenant, ...rest] = subject.split('.')
  if (root !== 'evt' || !isLane(lane) || tenant === undefined || rest.length === 0) {
    throw new ContractError(
      'SUBJECT_INVALID',
      `"${subject}" is not evt.<lane>.<tenant>.<type…> with lane ${LANES.join(', ')}.`,
      'subject',
    )
  }
  return { lane, tenant: assertToken(tenant, 'tenant'), type: rest.map(unescapeToken).join('.') }
}

/** `job.<channel>.<lane>.<tenant>` */
export function jobSubject(channel: DeliveryChannel, lane: Lane, tenant: string): string {
  return `job.${channel}.${lane}.${assertToken(tenant, 'tenant')}`
}

/** `job.fanout.<lane>.<tenant>` */
export function fanoutSubject(lane: Lane, tenant: string): string {
  return `job.fanout.${lane}.${assertToken(tenant, 'tenant')}`
}

/** Takes a job's subject apart. @throws ContractError `SUBJECT_INVALID` */
export function parseJobSubject(subject: string): { channel: DeliveryChannel; lane: Lane; tenant: string } {
  const [root, channel, lane, tenant, ...rest] = subject.split('.')
  if (
    root !== 'job' ||
    !isDeliveryChannel(channel) ||
    !isLane(lane) ||
    tenant === undefined ||
    rest.length > 0
  ) {
    throw new ContractError(
      'SUBJECT_INVALID',
      `"${subject}" is not job.<channel>.<lane>.<tenant>.`,
      'subject',
    )
  }
  return { channel, lane, tenant: assertToken(tenant, 'tenant') }
}

/** Kinds of stored realtime channels. */
export type LiveKind = 'user' | 'room'

/** `rt.<tenant>.<kind>.<id>`: where a frame is stored. */
export function frameSubject(tenant: string, kind: LiveKind, id: string): string {
  return `rt.${assertToken(tenant, 'tenant')}.${kind}.${assertToken(id, `${kind} id`)}`
}

/** `live.<tenant>.<kind>.<id>`: where the stream republishes it on core NATS. */
export function liveSubject(tenant: string, kind: LiveKind, id: string): string {
  return `live.${assertToken(tenant, 'tenant')}.${kind}.${assertToken(id, `${kind} id`)}`
}

/** What a receipt says: provider answers and device acknowledgements. */
export const RECEIPT_STATUSES = [
  'accepted',
  'delivered',
  'opened',
  'clicked',
  'dismissed',
  'bounced',
  'complained',
  'failed',
  'expired',
] as const
export type ReceiptStatus = (typeof RECEIPT_STATUSES)[number]

/** `rcp.<channel>.<status>.<tenant>` */
export function receiptSubject(channel: Channel, status: ReceiptStatus, tenant: string): string {
  return `rcp.${channel}.${status}.${assertToken(tenant, 'tenant')}`
}

/** `aud.<area>.<action>.<tenant>` */
export function auditSubject(area: string, action: string, tenant: string): string {
  return `aud.${assertToken(area, 'audit area')}.${assertToken(action, 'audit action')}.${assertToken(tenant, 'tenant')}`
}

/** `dlq.<stream>.<consumer>.<tenant>`; a message whose tenant can't be told goes under `unknown`. */
export function deadLetterSubject(stream: string, consumer: string, tenant: string): string {
  return `dlq.${stream}.${consumer}.${assertToken(tenant, 'tenant')}`
}

/** Tenant token of dead letters whose own subject doesn't tell one. */
export const UNKNOWN_TENANT = 'unknown'

export function isLane(value: unknown): value is Lane {
  return (LANES as readonly unknown[]).includes(value)
}

export function isChannel(value: unknown): value is Channel {
  return (CHANNELS as readonly unknown[]).includes(value)
}

export function isDeliveryChannel(value: unknown): value is DeliveryChannel {
  return (DELIVERY_CHANNELS as readonly unknown[]).includes(value)
}
