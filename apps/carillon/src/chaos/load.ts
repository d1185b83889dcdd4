import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditFact, auditSubject, eventSubject } from '@carillon/contracts'
import type { Publisher } from '@carillon/jetstream'

/** What the load client knows of its own events: written before a send and after its answer, never from what is seen. */
export interface Journal {
  attempted: Set<string>
  acknowledged: Set<string>
  /** Sent, and no answer is known: may be there once or not at all. */
  unknown: Set<string>
  /** Audited actions that were acknowledged. */
  audited: Set<string>
}

export interface Load {
  readonly journal: Journal
  stop(): Promise<void>
}

const EVERY_MS = 100

/** Publishes events at a steady rate, whatever happens to the broker. */
export function startLoad(
  publisher: Publisher,
  options: { tenant: string; perSecond: number; users: readonly string[] },
): Load {
  const journal: Journal = {
    attempted: new Set(),
    acknowledged: new Set(),
    unknown: new Set(),
    audited: new Set(),
  }
  const stopping = new AbortController()
  const perTick = Math.max(1, Math.round((options.perSecond * EVERY_MS) / 1_000))
  const open = new Set<Promise<void>>()
  const tick = async (first: number): Promise<void> => {
    const ids = Array.from({ length: perTick }, (_, index) => `load-${first + index}`)
    for (const id of ids) journal.attempted.add(id)
    const outcomes = await publisher.publishAll(
      'EVENTS',
      ids.map((id, index) => event(id, options, first + index)),
    )
    const [audited] = await publisher.publishAll('AUDIT', [fact(ids[0] as string, options.tenant)])
    if (audited?.ok === true) journal.audited.add(ids[0] as string)
    outcomes.forEach((outcome, index) => {
      const id = ids[index] as string
      if (outcome.ok) journal.acknowledged.add(id)
      else journal.unknown.add(id)
    })
  }
  const run = async (): Promise<void> => {
    for (let first = 0; !stopping.signal.aborted; first += perTick) {
      const sent = tick(first).finally(() => open.delete(sent))
      open.add(sent)
      await sleep(EVERY_MS)
    }
  }
  const running = run()
  return {
    journal,
    async stop() {
      stopping.abort()
      await running
      await Promise.all(open)
    },
  }
}

function event(id: string, options: { tenant: string; users: readonly string[] }, index: number) {
  return {
    subject: eventSubject('normal', options.tenant, 'chaos.tick.v1'),
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/chaos', 'ce-type': 'chaos.tick.v1' },
    body: JSON.stringify({ user: options.users[index % options.users.length], n: index }),
  }
}

function fact(id: string, tenant: string) {
  const action: AuditFact = {
    id,
    at: Date.now(),
    actor: { kind: 'system', id: 'chaos' },
    action: 'chaos.tick',
    resource: id,
    outcome: 'ok',
  }
  return { subject: auditSubject('chaos', 'tick', tenant), body: JSON.stringify(action) }
}
