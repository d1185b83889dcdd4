import { ContractError } from './errors.js'
import type { ReceiptStatus } from './subjects.js'
import type { Channel, DeliveryStatus, Lane, Reason } from './words.js'

/** A job: a hint that a delivery row is due. Everything the worker needs is in the row. */
export interface Job {
  deliveryId: string
  runId: string
}

/** A fact that came back from a provider or a device. Repeating one changes nothing. */
export interface Receipt {
  deliveryId: string
  runId: string
  userId: string
  channel: Channel
  status: ReceiptStatus
  /** When it happened, milliseconds. */
  at: number
  /** Which attempt it answers; absent for device acknowledgements. */
  attempt?: number
  provider?: string
  providerId?: string
  reason?: Reason
  detail?: string
  /** Who said so: the delivery worker for a provider, or the device with its receipt token. */
  by: 'provider' | 'device' | 'worker'
}

/** One action of consequence, for the hash-chained trail. Holds no payload and no secret. */
export interface AuditFact {
  id: string
  at: number
  actor: { kind: 'key' | 'user' | 'system'; id: string }
  /** `<area>.<action>`, as in the subject. */
  action: string
  resource: string
  outcome: 'ok' | 'refused'
  correlationId?: string
  details?: Record<string, string | number | boolean>
}

/** What an inbox shows of a notification. The same shape over HTTP and in frames. */
export interface InboxItem {
  id: string
  workflow: string
  category: string | null
  title: string
  body: string
  url: string | null
  data: unknown
  lane: Lane
  createdAt: string
  seenAt: string | null
  readAt: string | null
  archivedAt: string | null
}

/** What is stored in LIVE, already as the client will see it. */
export type Frame =
  | { type: 'notification.created'; id: string; notification: InboxItem }
  | { type: 'notification.updated'; id: string; changes: Partial<InboxItem> }
  | { type: 'notification.removed'; id: string }
  | { type: 'delivery.updated'; id: string; deliveryId: string; channel: Channel; status: DeliveryStatus }

/** Headers that Carillon puts on what it publishes. */
export const HEADERS = {
  messageId: 'Nats-Msg-Id',
  reason: 'Carillon-Reason',
  originalSubject: 'Carillon-Subject',
  originalStream: 'Carillon-Stream',
  originalSequence: 'Carillon-Sequence',
  originalDeliveries: 'Carillon-Deliveries',
  deadAt: 'Carillon-At',
  correlationId: 'Carillon-Correlation',
  traceparent: 'traceparent',
} as const

const text = new TextDecoder()

function parseRecord(body: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text.decode(body))
  } catch {
    throw new ContractError('MESSAGE_INVALID', `The ${what} is not valid JSON.`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ContractError('MESSAGE_INVALID', `The ${what} is not a JSON object.`)
  }
  return value as Record<string, unknown>
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** True for a lower-case UUID, the form of every derived id. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value)
}

function uuidField(record: Record<string, unknown>, field: string, what: string): string {
  const value = record[field]
  if (!isUuid(value))
    throw new ContractError('MESSAGE_INVALID', `The ${what} has no valid "${field}".`, field)
  return value
}

function textField(record: Record<string, unknown>, field: string, what: string): string {
  const value = record[field]
  if (typeof value !== 'string' || value === '') {
    throw new ContractError('MESSAGE_INVALID', `The ${what} has no "${field}".`, field)
  }
  return value
}

/** @throws ContractError `MESSAGE_INVALID` */
export function decodeJob(body: Uint8Array): Job {
  const record = parseRecord(body, 'job')
  return { deliveryId: uuidField(record, 'deliveryId', 'job'), runId: uuidField(record, 'runId', 'job') }
}

/** @throws ContractError `MESSAGE_INVALID` */
export function decodeReceipt(body: Uint8Array): Receipt {
  const record = parseRecord(body, 'receipt')
  uuidField(record, 'deliveryId', 'receipt')
  uuidField(record, 'runId', 'receipt')
  uuidField(record, 'userId', 'receipt')
  for (const field of ['channel', 'status', 'by']) textField(record, field, 'receipt')
  if (typeof record['at'] !== 'number' || !Number.isFinite(record['at'])) {
    throw new ContractError('MESSAGE_INVALID', 'The receipt has no "at" in milliseconds.', 'at')
  }
  return record as unknown as Receipt
}

/** @throws ContractError `MESSAGE_INVALID` */
export function decodeAuditFact(body: Uint8Array): AuditFact {
  const record = parseRecord(body, 'audit fact')
  for (const field of ['id', 'action', 'resource', 'outcome']) textField(record, field, 'audit fact')
  const actor = record['actor']
  if (typeof actor !== 'object' || actor === null || typeof (actor as { id?: unknown }).id !== 'string') {
    throw new ContractError('MESSAGE_INVALID', 'The audit fact has no "actor" with an id.', 'actor')
  }
  if (typeof record['at'] !== 'number' || !Number.isFinite(record['at'])) {
    throw new ContractError('MESSAGE_INVALID', 'The audit fact has no "at" in milliseconds.', 'at')
  }
  return record as unknown as AuditFact
}
