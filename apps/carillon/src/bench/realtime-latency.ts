import { setTimeout as sleep } from 'node:timers/promises'
import { eventSubject, userId } from '@carillon/contracts'
import { createPublisher } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import type { BenchEngines } from './engines.js'
import type { Contestant } from './realtime-contestants.js'
import { TENANT, userOf } from './realtime-dialects.js'
import { startLoad } from './realtime-load.js'
import { quantile, row } from './realtime-rows.js'
import type { BenchRow } from './rows.js'
import { startWorker } from './worker.js'

const CLIENTS = 1_000
const PER_SECOND = 1_000
const EVERY_MS = 5
const SECONDS = 10
/** V8 compiles what dispatches for some ten seconds, on the same processors. */
const WARM_UP_SECONDS = 15
const GOAL_MS = { p50: 10, p99: 50 }
const TYPE = 'bench.seen.v1'
const WORKFLOW = {
  key: 'seen',
  on: TYPE,
  to: 'data.user',
  content: { title: '{{ data.at }}' },
  steps: ['inbox'],
}

/**
 * From an event's publishing to its notification at the client: dispatcher and realtime as processes of their own, 1,000
 * people who are connected, 1,000 events a second at even distances.
 */
export async function benchLatency(server: Contestant, engines: BenchEngines): Promise<BenchRow[]> {
  await arrange(engines)
  await using _dispatcher = await startWorker('rolling', engines)
  await using load = await startLoad(server, { count: CLIENTS, inRoom: false, keep: 'clock' })
  await using publisher = createPublisher(engines.connection)
  let published = 0
  const run = async (seconds: number) => {
    const began = performance.now()
    const target = published + seconds * PER_SECOND
    const acknowledged: Promise<number>[] = []
    while (published < target) {
      const due = Math.min(
        target,
        target - seconds * PER_SECOND + ((performance.now() - began) / 1_000) * PER_SECOND,
      )
      while (published < due) acknowledged.push(publisher.publish('EVENTS', event(published++)))
      await sleep(EVERY_MS)
    }
    await Promise.all(acknowledged)
    await load.untilEach(published / CLIENTS)
    return load.ages()
  }
  await run(WARM_UP_SECONDS)
  const ages = await run(SECONDS)
  const p50 = quantile(ages, 0.5)
  const p99 = quantile(ages, 0.99)
  return [
    row({
      name: `event → visible at 1,000/s, median of ${ages.length.toLocaleString('en')}`,
      value: p50,
      unit: 'ms',
      goal: `≤ ${GOAL_MS.p50} ms`,
      met: p50 <= GOAL_MS.p50,
    }),
    row({
      name: '  99th percentile',
      value: p99,
      unit: 'ms',
      goal: `≤ ${GOAL_MS.p99} ms`,
      met: p99 <= GOAL_MS.p99,
    }),
    row({ name: '  longest', value: quantile(ages, 1), unit: 'ms' }),
  ]
}

async function arrange({ owner }: BenchEngines): Promise<void> {
  const run = (text: string, values: unknown[]) => owner.query({ text, values })
  await run('INSERT INTO tenants (id, name) VALUES ($1, $1)', [TENANT])
  await run('INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, 1, $3)', [
    TENANT,
    WORKFLOW.key,
    JSON.stringify(WORKFLOW),
  ])
  const names = Array.from({ length: CLIENTS }, (_, index) => userOf(index))
  await run(
    `INSERT INTO users (tenant_id, id, external_id) SELECT $1, i, n FROM unnest($2::uuid[], $3::text[]) AS k (i, n)`,
    [TENANT, names.map((name) => userId(sha256, TENANT, name)), names],
  )
}

function event(n: number) {
  return {
    subject: eventSubject('normal', TENANT, TYPE),
    headers: { 'ce-specversion': '1.0', 'ce-id': `seen-${n}`, 'ce-source': '/bench', 'ce-type': TYPE },
    body: JSON.stringify({
      user: userOf(n % CLIENTS),
      at: (performance.timeOrigin + performance.now()).toFixed(3),
    }),
  }
}
