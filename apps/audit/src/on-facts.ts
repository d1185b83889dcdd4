import { ContractError, decodeAuditFact } from '@carillon/contracts'
import { DONE, dead, type Outcome, type Received } from '@carillon/jetstream'
import { type AuditEntry, appendAudit, type Database, whenThere } from '@carillon/postgres'
import type { AuditEvents } from './events.js'

export interface OnFactsDeps {
  database: Database
  events: AuditEvents
}

const text = new TextDecoder()

/**
 * Handles a batch of AUDIT: appends each tenant's facts to its chain in stream order, exactly the bytes that came. A
 * fact that comes again is left out.
 */
export function createOnFacts(deps: OnFactsDeps): (batch: readonly Received[]) => Promise<Outcome[]> {
  return async (batch) => {
    const outcomes: Outcome[] = batch.map(() => DONE)
    const byTenant = new Map<string, { sequence: number; entry: AuditEntry }[]>()
    batch.forEach((message, place) => {
      try {
        const fact = decodeAuditFact(message.body)
        const tenant = message.subject.split('.')[3] ?? ''
        const list = byTenant.get(tenant) ?? []
        byTenant.set(tenant, list)
        list.push({ sequence: message.sequence, entry: { factId: fact.id, fact: text.decode(message.body) } })
      } catch (error) {
        if (!(error instanceof ContractError)) throw error
        outcomes[place] = dead(`${error.code}: ${error.message}`)
      }
    })
    // tenants in one order, so that two batches can't wait for each other's heads
    for (const tenant of [...byTenant.keys()].sort()) await append(tenant, byTenant.get(tenant) ?? [], deps)
    return outcomes
  }
}

async function append(
  tenant: string,
  facts: readonly { sequence: number; entry: AuditEntry }[],
  deps: OnFactsDeps,
): Promise<void> {
  const entries = [...facts].sort((a, b) => a.sequence - b.sequence).map(({ entry }) => entry)
  const appended = await whenThere(() =>
    deps.database.inTransaction((tx) => appendAudit(tx, tenant, entries)),
  )
  deps.events.appended(tenant, appended, entries.length - appended)
}
