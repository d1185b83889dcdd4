import { ContractError, type DomainEvent, isLane, parseStructured } from '@carillon/contracts'

/** An event that a mesh has seen, and when. */
export interface RecordedEvent {
  event: DomainEvent
  /** Milliseconds; undefined when the record doesn't say. */
  at: number | undefined
}

/**
 * Reads recorded events: CloudEvents, or what `GET /v1/events/:id` and the list of events give; one, a list, or an object
 * with `events`.
 * @throws ContractError that names what is wrong
 */
export function recordedEvents(value: unknown): RecordedEvent[] {
  const wrapped = (value as { events?: unknown } | null)?.events
  const list = Array.isArray(value) ? value : Array.isArray(wrapped) ? wrapped : [value]
  return list.map((entry, index) => {
    try {
      return recordedEvent(entry)
    } catch (error) {
      if (!(error instanceof ContractError)) throw error
      throw new ContractError(error.code, `Event ${index + 1}: ${error.message}`, error.field)
    }
  })
}

function recordedEvent(entry: unknown): RecordedEvent {
  const record = (entry ?? {}) as Record<string, unknown>
  const { eventId, firstSeen, lane, subject, time } = record
  const kept = typeof eventId === 'string'
  // a kept event has our id in front and that of its source beside it
  const cloudEvent = kept
    ? { ...record, specversion: '1.0', id: eventId, subject: subject ?? undefined, time: time ?? undefined }
    : { specversion: '1.0', ...record }
  const parsed = parseStructured(cloudEvent)
  const at = Date.parse(String(firstSeen ?? parsed.time ?? ''))
  return {
    event: { ...parsed, tenant: 'test', lane: isLane(lane) ? lane : 'normal' },
    at: Number.isNaN(at) ? undefined : at,
  }
}
