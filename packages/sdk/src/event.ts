import { randomUUID } from 'node:crypto'
import { type Lane, parseStructured, typeToTokens } from '@carillon/contracts'

/** A domain event as a service publishes it. What is left out is filled in once, before the first try. */
export interface EventInput<T = unknown> {
  /** CloudEvents type, like `rides.ride.accepted.v1`. */
  type: string
  data: T
  /** Identifies the event within its source; the same id again rings nobody twice. Default: a random UUID. */
  id?: string
  /** Who says so. Default: the publisher's source. */
  source?: string
  subject?: string
  /** RFC 3339 or a Date. Default: now. */
  time?: string | Date
  /** `high` only for what can't wait, like one-time codes. Default: normal. */
  lane?: Lane
  /** W3C trace context of the caller. */
  traceparent?: string
}

/** An event with everything filled in: what every retry sends again, unchanged. */
export interface CompleteEvent {
  specversion: '1.0'
  id: string
  source: string
  type: string
  time: string
  subject?: string
  traceparent?: string
  datacontenttype: 'application/json'
  data: unknown
}

/**
 * Fills an event in and checks it against the contract, so that a mistake fails here and not on the wire.
 * @throws ContractError naming the field
 */
export function completeEvent(
  input: EventInput,
  defaults: { source: string },
): { event: CompleteEvent; lane: Lane } {
  const time =
    input.time instanceof Date ? input.time.toISOString() : (input.time ?? new Date().toISOString())
  const event: CompleteEvent = {
    specversion: '1.0',
    id: input.id ?? randomUUID(),
    source: input.source ?? defaults.source,
    type: input.type,
    time,
    ...(input.subject === undefined ? {} : { subject: input.subject }),
    ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }),
    datacontenttype: 'application/json',
    data: input.data ?? null,
  }
  typeToTokens(event.type)
  parseStructured(event)
  return { event, lane: input.lane ?? 'normal' }
}
