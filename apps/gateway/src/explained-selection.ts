import type { DomainEvent } from '@carillon/contracts'
import {
  type CompiledWorkflow,
  createCelCompiler,
  type RecipientSelection,
  recipientsOf,
  selectionOf,
} from '@carillon/decisions'
import type { EventRecord } from '@carillon/postgres'
import { NOTIFICATION_TYPE, TRIGGER_TYPE } from './event-types.js'

/** A kept event as it came. */
export function keptEvent(tenant: string, event: EventRecord): DomainEvent {
  return {
    tenant,
    lane: event.lane,
    id: event.eventId,
    source: event.source,
    type: event.type,
    time: event.time ?? undefined,
    subject: event.subject ?? undefined,
    data: event.data,
    dataJson: '',
    traceparent: undefined,
  }
}

/** An event as its workflow sees it: the data of a trigger stands in `data`. */
export function seenEvent(event: DomainEvent): DomainEvent {
  return event.type === TRIGGER_TYPE ? { ...event, data: fields(event.data).data ?? {} } : event
}

/** Whom a workflow meant with an event; undefined when its version is needed and no longer compiles. */
export function selectionThen(
  event: DomainEvent,
  workflow: CompiledWorkflow | undefined,
): RecipientSelection | undefined {
  const { to, actor, excludeActor } = fields(event.data)
  if (event.type === NOTIFICATION_TYPE) return selected(to, [])
  if (event.type === TRIGGER_TYPE)
    return selected(to, excludeActor === true && typeof actor === 'string' ? [actor] : [])
  return workflow === undefined ? undefined : recipientsOf(event, workflow)
}

/** Recipients that a caller gave, with the segments that only callers and workflows may write. */
function selected(to: unknown, excluded: readonly string[]): RecipientSelection {
  const list = Array.isArray(to) ? to : [to]
  const selection = selectionOf(
    list.filter((entry) => segmentOf(entry) === undefined),
    new Set(excluded),
  )
  for (const segment of list.map(segmentOf)) {
    if (segment === undefined) continue
    const compiled = createCelCompiler().compile(segment, 'person')
    if (compiled.ok) selection.groups.push({ kind: 'segment', segment, holds: compiled.expression })
  }
  return selection
}

function segmentOf(entry: unknown): string | undefined {
  const { segment } = fields(entry)
  return typeof segment === 'string' && segment !== '' ? segment : undefined
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
