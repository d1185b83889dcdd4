import { randomUUID } from 'node:crypto'
import { type AuditFact, auditSubject, STREAMS } from '@carillon/contracts'
import type { Publisher } from '@carillon/jetstream'
import { type Database, insertOutbox } from '@carillon/postgres'
import type { GatewayEvents } from './events.js'
import type { Told } from './outbox.js'
import { actorOf, type Principal } from './principal.js'

/** What was done, in the words of the trail. `details` hold no payload and no secret. */
export interface Deed {
  area: string
  action: string
  resource: string
  details?: AuditFact['details']
}

export interface Trail {
  /** The fact of a deed, to be told with the change that it is about. */
  fact(principal: Principal, deed: Deed, correlationId: string, outcome?: AuditFact['outcome']): Told
  /** Publishes the fact of something that changed no row; what the broker doesn't take is kept for the relay. */
  publish(principal: Principal, deed: Deed, correlationId: string): Promise<void>
  /** A refused call; one fact per principal and kind within a minute. Never rejects. */
  refused(principal: Principal, why: 'limit' | 'scope', route: string, correlationId: string): Promise<void>
}

const REFUSED_EVERY_MS = 60_000
const MAX_REMEMBERED = 10_000

export function createTrail(deps: {
  database: Database
  publisher: Publisher
  events: GatewayEvents
  now: () => number
}): Trail {
  const { database, publisher, events, now } = deps
  const lastRefused = new Map<string, number>()

  const factOf: Trail['fact'] = (principal, deed, correlationId, outcome = 'ok') => {
    const fact: AuditFact = {
      id: randomUUID(),
      at: now(),
      actor: actorOf(principal),
      action: `${deed.area}.${deed.action}`,
      resource: deed.resource,
      outcome,
      correlationId,
      ...(deed.details === undefined ? {} : { details: deed.details }),
    }
    return {
      stream: STREAMS.audit,
      subject: auditSubject(deed.area, deed.action, principal.tenant),
      messageId: fact.id,
      body: JSON.stringify(fact),
    }
  }

  const send = async (tenant: string, told: Told, action: string): Promise<void> => {
    try {
      await publisher.publish(STREAMS.audit, { subject: told.subject, body: told.body })
    } catch {
      // the broker is away: the row is relayed when it is back
      try {
        await database.inTenant(tenant, (tx) => insertOutbox(tx, tenant, [told]))
      } catch (error) {
        events.auditLost(action, error)
      }
    }
  }

  return {
    fact: factOf,
    publish(principal, deed, correlationId) {
      return send(principal.tenant, factOf(principal, deed, correlationId), `${deed.area}.${deed.action}`)
    },
    async refused(principal, why, route, correlationId) {
      const name = `${principal.tenant} ${principal.id} ${why}`
      if (now() - (lastRefused.get(name) ?? Number.NEGATIVE_INFINITY) < REFUSED_EVERY_MS) return
      lastRefused.delete(name)
      if (lastRefused.size >= MAX_REMEMBERED) lastRefused.delete(lastRefused.keys().next().value as string)
      lastRefused.set(name, now())
      const told = factOf(
        principal,
        { area: 'access', action: 'refused', resource: route, details: { why } },
        correlationId,
        'refused',
      )
      await send(principal.tenant, told, 'access.refused')
    },
  }
}
