import { setTimeout as sleep } from 'node:timers/promises'
import type { Publisher } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import { CALLER, TENANT } from './broadcast-data.js'
import { event, type Load } from './broadcast-load.js'
import type { Child } from './push-child.js'
import type { Arrived, SimulatorsQuestion } from './push-simulators.js'

const CODE_EVERY_MS = 50
/** How long the last codes may still take. */
const LAST_CODES_MS = 60_000

/** Milliseconds from publishing each event, ascending. */
export interface Codes {
  /** Until the provider has accepted the push; a code that never came counts as infinite. */
  accepted: number[]
  /** Until a worker had claimed the delivery: what is left of the former is the worker's and the provider's. */
  claimed: number[]
}

export interface CodesOptions {
  publisher: Publisher
  owner: Database
  simulators: Child
}

/** Asks for a one-time code every 50 ms. Simulators and database are asked at the end, not meanwhile. */
export function startCodes({ publisher, owner, simulators }: CodesOptions, name: string): Load<Codes> {
  const published = new Map<string, number>()
  const stopping = new AbortController()
  const loop = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const code = `${name}-${n}`
      published.set(code, Date.now())
      await publisher.publish('EVENTS', event('high', 'otp.v1', code, { user: CALLER, code }))
      await sleep(CODE_EVERY_MS)
    }
  })()
  const sincePublished = ({ code, at }: { code: string; at: number }) => at - (published.get(code) ?? at)
  return {
    async stop() {
      stopping.abort()
      await loop
      const accepted = await arrivals(simulators, published)
      const claims = await claimsOf(owner, name)
      return {
        accepted: ascending([
          ...accepted.map(sincePublished),
          ...Array.from({ length: published.size - accepted.length }, () => Number.POSITIVE_INFINITY),
        ]),
        claimed: ascending(claims.map(sincePublished)),
      }
    },
  }
}

interface Reached {
  code: string
  at: number
}

async function arrivals(simulators: Child, published: ReadonlyMap<string, number>): Promise<Reached[]> {
  const arrived = new Map<string, number>()
  const giveUpAt = performance.now() + LAST_CODES_MS
  while (arrived.size < published.size && performance.now() < giveUpAt) {
    const messages = await simulators.ask<Arrived[]>({ ask: 'arrived' } satisfies SimulatorsQuestion)
    for (const { title, at } of messages) {
      if (published.has(title) && !arrived.has(title)) arrived.set(title, at)
    }
    await sleep(20)
  }
  return [...arrived].map(([code, at]) => ({ code, at }))
}

async function claimsOf(owner: Database, name: string): Promise<Reached[]> {
  const { rows } = await owner.query<Reached>({
    text: `SELECT e.event_id AS code, (extract(epoch FROM a.started_at) * 1000)::float8 AS at
      FROM events e JOIN runs r ON r.event_id = e.id JOIN attempts a ON a.run_id = r.id
      WHERE e.tenant_id = $1 AND e.event_id LIKE $2 || '-%' AND r.workflow_key = 'otp' AND a.attempt_no = 1`,
    values: [TENANT, name],
  })
  return rows
}

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b)
}
