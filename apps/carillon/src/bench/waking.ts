import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@carillon/postgres'
import type { CommandContext } from '../cli.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { cpuSeconds } from './cpu.js'
import { arrange, TENANT } from './dispatch-stage.js'
import { type BenchEngines, withEngines } from './engines.js'
import type { BenchRow } from './rows.js'
import { startWorker } from './worker.js'

const WAITING = 1_000_000
const DUE = 100_000
const MINUTE_MS = 60_000
/** Until the first one is due: the dispatcher is up and its caches are warm then. */
const LEAD_MS = 8_000
const GOAL_P99_MS = 2_000
/** How long after the last one was due a run may still be missing before the suite gives up. */
const PATIENCE_MS = 120_000

/**
 * A million runs wait; a hundred thousand of them are due within one minute, and go on with a push. How late each is:
 * from the moment it was due to the moment at which it was judged, as its own plan tells.
 */
export async function benchWaking(args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const progress = createProgress(process.stdout)
  const waiting = args.runs ?? WAITING
  const due = Math.min(DUE, Math.round(waiting / 10))
  return withEngines(async (engines) => {
    await arrange(engines.owner)
    await progress.step(`${waiting.toLocaleString('en')} runs that wait`, () => fill(engines.owner, waiting))
    const begins = Date.now() + LEAD_MS
    await spread(engines.owner, { due, begins })
    await using _dispatcher = await startWorker('rolling', engines)
    await sleep(begins - Date.now())
    const before = await cpuOf(engines)
    const [result] = await progress.step(`${due.toLocaleString('en')} due within a minute`, () =>
      untilWoken(engines.owner, due),
    )
    const spent = (await cpuOf(engines)) - before
    const row = (name: string, value: number, goal: number | null): BenchRow => ({
      suite: 'waking',
      name,
      value,
      unit: 'ms late',
      cpuMicrosPerUnit: null,
      reference: null,
      referenceValue: null,
      ratio: null,
      goal: goal === null ? null : `≤ ${goal} ms`,
      met: goal === null ? null : value <= goal,
    })
    const { p50, p99, most } = result as Lateness
    return [
      row(`p50 of ${due.toLocaleString('en')}, ${waiting.toLocaleString('en')} waiting`, p50, null),
      row(`p99 (engines ${((spent * 1e6) / due).toFixed(0)} µs a run)`, p99, GOAL_P99_MS),
      row('the latest', most, null),
    ]
  })
}

/** Runs of the workflow that waits a day; they share a thousand events. */
async function fill(owner: Database, count: number): Promise<void> {
  await owner.query({
    text: `INSERT INTO events (id, tenant_id, source, event_id, type, lane, data, outcome, first_seen)
      SELECT overlay(lowest_id_at(now())::text placing lpad(to_hex(i), 12, '0') from 25)::uuid, $1, '/bench', 'e' || i, 'rides.ride.accepted.v1', 'normal',
        '{"rideId": "r", "driver": "Mira", "car": "blue Ioniq", "minutes": 4, "city": "vienna"}', '[]', now()
      FROM generate_series(1, 1000) AS i`,
    values: [TENANT],
  })
  await owner.query({
    text: `WITH e AS (SELECT array_agg(id) AS ids FROM events), u AS (SELECT array_agg(id) AS ids, count(*) AS n FROM users)
      INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, category, state, plan,
        content, next_step, wake_at, resume_at, in_inbox, wake_on_seen, created_at)
      SELECT overlay(lowest_id_at(now())::text placing lpad(to_hex(i), 12, '0') from 25)::uuid, $1, e.ids[1 + i % 1000], 'ride-followed', 1,
        u.ids[1 + i % u.n], 'u', 'normal', 'rides', 'waiting',
        '[{"at": 0, "steps": [{"step": 0, "type": "inbox", "outcome": "deliver", "detail": "nobody switched it off"}, {"step": 1, "type": "wait", "outcome": "wait", "detail": "waits 1d", "at": 0}]}]',
        '{"inbox": {"title": "Mira is on the way", "body": "blue Ioniq, W-4711, 4 min"}}', 2, now() + interval '1 day', now() + interval '1 day',
        true, true, now()
      FROM generate_series(1, $2::int) AS i, e, u`,
    values: [TENANT, count],
  })
  await owner.query({ text: 'ANALYZE runs' })
}

/** Makes some of them due, evenly over a minute; the moment is kept where the plan can be held against it. */
async function spread(owner: Database, { due, begins }: { due: number; begins: number }): Promise<void> {
  await owner.query({
    text: `UPDATE runs SET wake_at = to_timestamp(n.at / 1000.0), resume_at = to_timestamp(n.at / 1000.0), collapse_key = n.at::bigint::text
      FROM (SELECT id, $1::float8 + (row_number() OVER (ORDER BY md5(id::text))) * $2::float8 AS at
            FROM (SELECT id FROM runs ORDER BY md5(id::text) LIMIT $3) AS chosen) AS n WHERE runs.id = n.id`,
    values: [begins, MINUTE_MS / due, due],
  })
}

interface Lateness {
  woken: number
  p50: number
  p99: number
  most: number
}

async function untilWoken(owner: Database, due: number): Promise<[Lateness]> {
  const deadline = Date.now() + MINUTE_MS + PATIENCE_MS
  for (;;) {
    await sleep(1_000)
    const { rows } = await owner.query<{ left: number }>({
      text: `SELECT count(*) AS left FROM (SELECT FROM runs WHERE lane = 'normal' AND wake_at < now() + interval '12 hours' LIMIT 1) AS found`,
    })
    if (rows[0]?.left === 0) break
    if (Date.now() > deadline) throw new Error('Runs that were due have not been woken in time.')
  }
  const { rows } = await owner.query<Lateness>({
    text: `SELECT count(*) AS woken, percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS p50,
        percentile_cont(0.99) WITHIN GROUP (ORDER BY late) AS p99, max(late) AS most
      FROM (SELECT (plan -> 1 ->> 'at')::float8 - collapse_key::float8 AS late FROM runs
        WHERE collapse_key IS NOT NULL AND state = 'completed') AS woken`,
  })
  const result = rows[0] as Lateness
  if (result.woken !== due) throw new Error(`${result.woken} of ${due} runs went on.`)
  return [result]
}

async function cpuOf({ nats, postgres }: BenchEngines): Promise<number> {
  return (await cpuSeconds(nats.pid ?? 0)) + (await cpuSeconds(postgres.pid ?? 0))
}
