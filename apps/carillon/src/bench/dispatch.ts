import { createPublisher, type Publisher } from '@carillon/jetstream'
import type { CommandContext } from '../cli.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { cpuSeconds } from './cpu.js'
import { arrange, benchEvent, RUNS_PER_EVENT } from './dispatch-stage.js'
import { withEngines } from './engines.js'
import type { BenchRow } from './rows.js'
import { startWorker, type Worker } from './worker.js'

/** Events before the clock runs: code is compiled and caches are warm then. */
const WARM_UP = 4_000
const EVENTS = 15_000
const ROUNDS = 3
const GOAL_SHARE = 0.6
const GOAL_RUNS = 10_000
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
  return withEngines(async ({ nats, postgres, connection, owner, workerUrl }) => {
    await arrange(owner)
    await using publisher = createPublisher(connection)
    const results: Record<Mode, Round[]> = { raw: [], carillon: [] }
    const engines = { nats: nats.pid ?? 0, postgres: postgres.pid ?? 0 }
    await using raw = await startWorker('raw', { nats, workerUrl })
    await using carillon = await startWorker('carillon', { nats, workerUrl })
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
  })
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
