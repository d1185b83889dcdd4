import type { ReceiptStatus } from './subjects.js'
import type { Channel, DeliveryStatus, Lane, Reason } from './words.js'

/** A job: a hint that a delivery row is due. Everything the worker needs is in the row. */
export interface Job {
  deliveryId: string
  runId: string
}

/** One chunk of a large audience: the users in one range of ids. What is to be done with them stands in the rows. */
export interface FanoutChunk {
  /** Row id of the event. */
  eventId: string
  workflow: string
  /** From 0. */
  chunk: number
}

/** Who may say what became of a delivery. */
export const RECEIPT_SOURCES = ['provider', 'device', 'worker'] as const
export type ReceiptSource = (typeof RECEIPT_SOURCES)[number]

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
  by: ReceiptSource
}

/** Who may stand behind an audited action. */
export const ACTOR_KINDS = ['key', 'user', 'system'] as const

/** One action of consequence, for the hash-chained trail. Holds no payload and no secret. */
export interface AuditFact {
  id: string
  at: number
  actor: { kind: (typeof ACTOR_KINDS)[number]; id: string }
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
  subtitle: string | null
  body: string
  /** Address of an https picture. */
  picture: string | null
  url: string | null
  actions: readonly InboxAction[]
  data: unknown
  lane: Lane
  createdAt: string
  seenAt: string | null
  readAt: string | null
  archivedAt: string | null
  /** Out of the inbox until then; null when it is not put off. */
  snoozedUntil: string | null
  /** Grows with every change. Of two states of a notification the one with the higher revision is the newer. */
  revision: number
}

/** A button of a notification. */
export interface InboxAction {
  id: string
  label: string
  url: string | null
}

/**
 * What is stored in LIVE, already as the client will see it. `changes` of an update holds all marks and the revision;
 * when a notification comes back into the inbox (archived or put off before), it holds the whole item. Frames of one
 * notification may overtake each other. A client merges them by id: of marks the higher revision counts, also over an
 * item that comes later; of an id that was removed nothing counts any more.
 */
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
  /** On what was a dead letter: `<sequence of the letter> <when it was published again>`. */
  replayed: 'Carillon-Replayed',
  correlationId: 'Carillon-Correlation',
  traceparent: 'traceparent',
  /** On what was published into a room: `PublicationInfo` as ASCII JSON. */
  publisher: 'Carillon-Publisher',
  /** On a publication of a `latest` channel: newer ones of the same key replace it. */
  key: 'Carillon-Key',
} as const
