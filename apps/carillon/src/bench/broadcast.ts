import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { deliveryDurable, STREAMS } from '@carillon/contracts'
import { type Connection, consume, createPublisher, DONE, type Publisher } from '@carillon/jetstream'
import type { Database } from '@carillon/postgres'
import type { CommandContext } from '../cli.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { type Audience, arrange } from './broadcast-data.js'
import { event, startFlood, startProbe } from './broadcast-load.js'
import { type Phase, rowsOf } from './broadcast-rows.js'
import { cpuSeconds } from './cpu.js'
import { withEngines } from './engines.js'
import type { BenchRow } from './rows.js'
import { startWorker } from './worker.js'

const USERS = 1_000_000
/** The smallest topic of the stage has two per cent of them, and up to 500 are told at once. */
const LEAST_USERS = 50_000
/** Longest statement while people are made. */
const ARRANGE_MS = 300_000
const FLOOD_PER_SECOND = 5_000
/** How long the high lane is measured while nothing else happens. */
const QUIET_MS = 5_000
/** A broadcast that is slower than this per person is given up. */
const MOST_MS_EACH = 2
const LEAST_MS = 120_000

export interface BroadcastBench {
  connection: Connection
  publisher: Publisher
  owner: Database
  worker: number
  engines: { nats: number; postgres: number }
}

/**
 * One event to everybody who subscribed, in the bulk lane: rows, frames (and jobs) on disk; meanwhile an event of the
 * high lane every 50 ms, from publishing to the frame that its recipient hears; then the same under a flood.
 */
export async function benchBroadcast(args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const users = args.users ?? USERS
  if (users < LEAST_USERS) {
    throw new CommandError(
      `${users} people are too few: a part of them would be told at once, not in chunks.`,
      {
        remedy: `Give --users ${LEAST_USERS} or more.`,
        exitCode: EXIT.usage,
      },
    )
  }
  const progress = createProgress(process.stdout)
  return withEngines(
    async ({ nats, postgres, connection, owner, workerUrl }) => {
      await progress.step(`${users.toLocaleString('en')} users`, () => arrange(owner, users))
      await using _sender = consume(
        connection,
        { stream: STREAMS.jobsPush, durable: deliveryDurable('push', 'bulk'), batch: 1_000, concurrency: 1 },
        (jobs) => jobs.map(() => DONE),
      )
      await using publisher = createPublisher(connection)
      await using worker = await startWorker('rolling', { nats, workerUrl })
      const engines = { nats: nats.pid ?? 0, postgres: postgres.pid ?? 0 }
      const bench: BroadcastBench = { connection, publisher, owner, worker: worker.pid, engines }
      await progress.step('warm-up', () =>
        broadcast(bench, { workflow: 'push', topic: 'warm', name: 'warm' }),
      )
      const quiet = await progress.step('high lane alone', () => probeQuiet(bench))
      const phases: Phase[] = []
      for (const phase of [
        { workflow: 'inbox', topic: 'all', name: 'inbox' },
        { workflow: 'push', topic: 'quarter', name: 'inbox and push' },
        { workflow: 'inbox', topic: 'quarter', name: 'inbox, flooded', flood: FLOOD_PER_SECOND },
      ] as const) {
        phases.push(await progress.step(`broadcast: ${phase.name}`, () => measured(bench, phase)))
      }
      return rowsOf({ quiet, phases })
    },
    { statementTimeoutMs: ARRANGE_MS },
  )
}

interface Broadcast {
  workflow: 'inbox' | 'push'
  topic: Audience
  name: string
  flood?: number
}

async function probeQuiet(bench: BroadcastBench): Promise<number[]> {
  const probe = await startProbe(bench.connection, bench.publisher, 'quiet')
  await sleep(QUIET_MS)
  return probe.stop()
}

async function measured(bench: BroadcastBench, { flood, ...what }: Broadcast): Promise<Phase> {
  const probe = await startProbe(bench.connection, bench.publisher, what.name)
  const flooding = flood === undefined ? undefined : startFlood(bench.publisher, flood, what.name)
  const result = await broadcast(bench, what)
  const floodPerSecond = await flooding?.stop()
  return { ...result, name: what.name, latencies: await probe.stop(), floodPerSecond: floodPerSecond ?? null }
}

/** From publishing the event to the commit of the last chunk. */
export async function broadcast(
  { publisher, owner, worker, engines }: BroadcastBench,
  { workflow, topic, name }: Broadcast,
): Promise<Pick<Phase, 'recipients' | 'ms' | 'rss' | 'cpuMicros'>> {
  const cpu = async () => ({
    node: await cpuSeconds(worker),
    nats: await cpuSeconds(engines.nats),
    postgres: await cpuSeconds(engines.postgres),
  })
  const before = await cpu()
  const rss = [await residentBytes(worker)]
  const began = performance.now()
  const data = { to: { topic }, city: 'Vienna', day: 'Monday' }
  await publisher.publish('EVENTS', event('bulk', `news.${workflow}.v1`, `broadcast-${name}`, data))
  for (;;) {
    await sleep(100)
    const { chunks, done, recipients, finished } = await progressOf(owner, `broadcast-${name}`)
    const ms = performance.now() - began
    if (chunks > 0 && done >= (chunks * rss.length) / 4) rss.push(await residentBytes(worker))
    if (finished) {
      const after = await cpu()
      const each = (part: keyof typeof after) => ((after[part] - before[part]) * 1e6) / recipients
      return {
        recipients,
        ms,
        rss,
        cpuMicros: { node: each('node'), nats: each('nats'), postgres: each('postgres') },
      }
    }
    if (ms > LEAST_MS + chunks * 500 * MOST_MS_EACH)
      throw new Error(`The broadcast stopped at ${done} of ${chunks} chunks.`)
  }
}

interface Progress {
  chunks: number
  done: number
  recipients: number
  finished: boolean
}

async function progressOf(owner: Database, event: string): Promise<Progress> {
  const { rows } = await owner.query<Progress>({
    text: `SELECT f.chunks, count(c.chunk)::int AS done, coalesce(sum(c.runs), 0)::int AS recipients, f.finished_at IS NOT NULL AS finished
      FROM events e JOIN fanouts f ON f.event_id = e.id LEFT JOIN fanout_chunks c ON c.event_id = f.event_id AND c.workflow_key = f.workflow_key
      WHERE e.event_id = $1 GROUP BY f.event_id, f.workflow_key`,
    values: [event],
  })
  return rows[0] ?? { chunks: 0, done: 0, recipients: 0, finished: false }
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
}

/** A process of its own, as in production: its CPU and memory are its own. */
