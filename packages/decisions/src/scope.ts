import type { DomainEvent } from '@carillon/contracts'
import type { Facts } from './facts.js'

/** What expressions see: the event's data and its attributes; steps also see the person and the run. */
export interface CelScope {
  data: unknown
  event: EventScope
  user?: UserScope
  run?: RunScope
}

export interface EventScope {
  id: string
  type: string
  source: string
  subject: string | null
  time: string | null
}

/** A person as expressions and texts see them. */
export interface UserScope {
  id: string
  name: string | null
  email: string | null
  locale: string
  timezone: string
  roles: readonly string[]
  attributes: Readonly<Record<string, unknown>>
}

/** What became of the run so far. */
export interface RunScope {
  seen: boolean
  /** What ended the last wait; null before the first. */
  woken: 'time' | 'event' | 'seen' | null
  /** Data of the event that was waited for; null when it didn't come. */
  event: unknown
  /** Items of the digest that the run carries; 1 outside of digests. */
  count: number
}

/** What expressions see of an event alone. */
export function celScope(event: DomainEvent): CelScope {
  return { data: event.data, event: eventScope(event) }
}

/** An event's attributes as expressions and texts see them. */
export function eventScope(event: DomainEvent): EventScope {
  return {
    id: event.id,
    type: event.type,
    source: event.source,
    subject: event.subject ?? null,
    time: event.time ?? null,
  }
}

/** A person as expressions and texts see them: what they didn't say is what the tenant has. */
export function userScope(
  user: Omit<Facts['user'], 'id' | 'phone' | 'status'>,
  tenant: { locale: string; timezone: string },
): UserScope {
  return {
    id: user.externalId,
    name: user.name,
    email: user.email,
    locale: user.locale ?? tenant.locale,
    timezone: user.timezone ?? tenant.timezone,
    roles: user.roles,
    attributes: user.attributes,
  }
}
