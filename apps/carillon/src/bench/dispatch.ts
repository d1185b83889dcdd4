import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startNats, startPostgres } from '@carillon/engines'
import { applyTopology, createPublisher, openConnection, type Publisher } from '@carillon/jetstream'
import { createLogins, migrate, openDatabase } from '@carillon/postgres'
import type { CommandContext } from '../cli.js'
import { readTopology } from '../mesh/topology-files.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { cpuSeconds } from './cpu.js'
import { arrange, benchEvent, RUNS_PER_EVENT } from './dispatch-stage.js'
import type { BenchRow } from './rows.js'

/** Events before the clock runs: code is compiled and caches are warm then. */
const WARM_UP = 4_000
const EVENTS = 15_000
const ROUNDS = 3
const GOAL_SHARE = 0.6
const GOAL_RUNS = 10_000
/** As deploy/Dockerfile runs workers: a batch outlives several scavenges of the default young generation. */
const NODE_FLAGS = ['--min-semi-space-size=64', '--max-semi-space-size=64']
/** Nobody takes the jobs away here, so the queue needs room for all of them. */
const ROOM = 'streams: { JOBS_PUSH: { max_msgs_per_subject: 10000000, max_bytes: 4GiB } }'
/** … and no delivery is ever brought again for lack of a worker. */
const RESPOOL_AFTER_MS = String(60 * 60 * 1000)

type Mode = 'raw' | 'carillon'
const MODES: readonly Mode[] = ['raw', 'carillon']

/** What one round gave: runs per second, and CPU microseconds per run of each process. */
interface Round {
  perSecond: number
  node: number
  nats: number
  postgres: number
}

/**
 * Events that stand in JetStream → judged by ten workflows of which three match, rendered in two locales, rows in PostgreSQL, job and frame published, acknowledged, all of
 * it on disk; beside a raw path that writes the same rows and messages without judging anything. The two take turns.
 */
export async function benchDispatch(_args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const progress = createProgress(process.stdout)
  const folder = await mkdtemp(join(tmpdir(), 'carillon-bench-'))
  const nats = await startNats({ dataDir: join(folder, 'nats'), maxStore: '20G' })
  const postgres = await startPostgres({
    dataDir: join(folder, 'postgres'),
    settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  })
  try {
    await migrate({ ownerUrl: postgres.url })
    const { workerUrl } = await createLogins({
      ownerUrl: postgres.url,
      requestLogin: { name: 'bench_request', password: 'bench-request' },
      workerLogin: { name: 'bench_worker', password: 'bench-worker' },
    })
    await using connection = await openConnection({ servers: nats.url, name: 'bench' })
    await applyTopology(connection, await readTopology('single', [ROOM]))
    await using owner = openDatabase({ url: postgres.url, max: 2 })
    await arrange(owner)
    await using publisher = createPublisher(connection)
    const results: Record<Mode, Round[]> = { raw: [], carillon: [] }
    const engines = { nats: nats.pid ?? 0, postgres: postgres.pid ?? 0 }
    await using raw = await startWorker('raw', { natsUrl: nats.url, workerUrl })
    await using carillon = await startWorker('carillon', { natsUrl: nats.url, workerUrl })
    const workers = { raw, carillon }
    for (const mode of MODES) {
      await progress.step(`${mode}: warm-up`, () =>
        round(workers[mode], publisher, engines, WARM_UP, `${mode}-warm`),
      )
    }
    for (let n = 0; n < ROUNDS; n++) {
      for (const mode of MODES) {
        const name = `${mode}-${n}`
        const work = () => round(workers[mode], publisher, engines, EVENTS, name)
        results[mode].push(await progress.step(`${mode}: round ${n + 1}`, work))
      }
    }
    return rowsOf(results)
  } finally {
    await nats.stop()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Loads events, lets the worker go, and takes the time and the CPU until everything is acknowledged. */
async function round(
  worker: Worker,
  publisher: Publisher,
  engines: { nats: number; postgres: number },
  count: number,
  name: string,
): Promise<Round> {
  for (let from = 0; from < count; from += 1_000) {
    const outcomes = await publisher.publishAll(
      'EVENTS',
      Array.from({ length: 1_000 }, (_, index) => benchEvent(`${name}-${from + index}`, from + index)),
    )
    const failed = outcomes.find((outcome) => !outcome.ok)
    if (failed !== undefined && !failed.ok) throw failed.error
  }
  const before = { nats: await cpuSeconds(engines.nats), postgres: await cpuSeconds(engines.postgres) }
  const { ms, cpuMicros } = await worker.run()
  const runs = count * RUNS_PER_EVENT
  const micros = (seconds: number) => (seconds * 1e6) / runs
  return {
    perSecond: (runs * 1_000) / ms,
    node: cpuMicros / runs,
    nats: micros((await cpuSeconds(engines.nats)) - before.nats),
    postgres: micros((await cpuSeconds(engines.postgres)) - before.postgres),
  }
}

interface Worker extends AsyncDisposable {
  /** Consumes until nothing is left. */
  run(): Promise<{ ms: number; cpuMicros: number }>
}

/** A process of its own, as in production: its CPU is its own and its event loop shares nothing. */
async function startWorker(mode: Mode, addresses: { natsUrl: string; workerUrl: string }): Promise<Worker> {
  const script = new URL('./dispatch-worker.js', import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, [...NODE_FLAGS, script, mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NATS_URL: addresses.natsUrl,
      DATABASE_WORKER_URL: addresses.workerUrl,
      CARILLON_RESPOOL_AFTER_MS: RESPOOL_AFTER_MS,
    },
  })
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const iterator = lines[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const { value, done } = await iterator.next()
    if (done === true) throw new Error(`The ${mode} worker ended with ${child.exitCode ?? child.signalCode}.`)
    return value
  }
  await next()
  return {
    async run() {
      child.stdin?.write('go\n')
      return JSON.parse(await next())
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin?.end()
      await ended
    },
  }
}

function rowsOf(results: Record<Mode, Round[]>): BenchRow[] {
  const median = (rounds: readonly Round[], pick: (round: Round) => number) =>
    rounds.map(pick).sort((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? 0
  const row = (mode: Mode, name: string): BenchRow => {
    const rounds = results[mode]
    const node = median(rounds, (round) => round.node)
    const nats = median(rounds, (round) => round.nats)
    const postgres = median(rounds, (round) => round.postgres)
    return {
      suite: 'dispatch',
      name: `${name} (node ${node.toFixed(0)}, nats ${nats.toFixed(0)}, pg ${postgres.toFixed(0)} µs)`,
      value: median(rounds, (round) => round.perSecond),
      unit: 'runs/s',
      cpuMicrosPerUnit: node + nats + postgres,
      reference: null,
      referenceValue: null,
      ratio: null,
      goal: null,
      met: null,
    }
  }
  const raw = row('raw', 'raw path')
  const ours = row('carillon', 'dispatcher')
  const ratio = ours.value / raw.value
  return [
    raw,
    {
      ...ours,
      reference: 'the raw path',
      referenceValue: raw.value,
      ratio,
      goal: `≥ ${GOAL_RUNS.toLocaleString('en')} runs/s and ≥ ${GOAL_SHARE * 100} % of the raw path`,
      met: ratio >= GOAL_SHARE && ours.value >= GOAL_RUNS,
    },
  ]
}
