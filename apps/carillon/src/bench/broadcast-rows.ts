import type { BenchRow } from './rows.js'

/** What one broadcast gave. */
export interface Phase {
  name: string
  recipients: number
  ms: number
  /** Resident bytes of the dispatcher at the start and after each quarter. */
  rss: number[]
  /** CPU microseconds per recipient, of each process. */
  cpuMicros: { node: number; nats: number; postgres: number }
  /** Milliseconds of high-lane events meanwhile, ascending. */
  latencies: number[]
  floodPerSecond: number | null
}

const GOAL_PER_SECOND = 12_000
const GOAL_P99_MS = 250

export function rowsOf({ quiet, phases }: { quiet: number[]; phases: readonly Phase[] }): BenchRow[] {
  const alone = percentile(quiet, 0.99)
  return [
    row('high lane alone, p99', alone, 'ms'),
    ...phases.flatMap((phase) => {
      const { node, nats, postgres } = phase.cpuMicros
      const perSecond = (phase.recipients * 1_000) / phase.ms
      const p99 = percentile(phase.latencies, 0.99)
      const flooded = phase.floodPerSecond === null ? '' : ` (${Math.round(phase.floodPerSecond)} events/s)`
      return [
        {
          ...row(`${phase.name}${flooded}`, perSecond, 'told/s'),
          cpuMicrosPerUnit: node + nats + postgres,
          ...goal(`≥ ${GOAL_PER_SECOND.toLocaleString('en')}/s`, perSecond >= GOAL_PER_SECOND),
        },
        row(
          `  node ${node.toFixed(0)}, nats ${nats.toFixed(0)}, pg ${postgres.toFixed(0)} µs; told`,
          phase.recipients,
          'people',
        ),
        row(
          `  dispatcher ${phase.rss.map((bytes) => Math.round(bytes / 2 ** 20)).join(' → ')} MiB, grew`,
          grown(phase.rss),
          'MiB',
        ),
        row('  high lane meanwhile, p50', percentile(phase.latencies, 0.5), 'ms'),
        {
          ...row('  high lane meanwhile, p99', p99, 'ms'),
          reference: 'the lane alone',
          referenceValue: alone,
          ratio: p99 / alone,
          ...goal(`< ${GOAL_P99_MS} ms`, p99 < GOAL_P99_MS),
        },
      ]
    }),
  ]
}

function row(name: string, value: number, unit: string): BenchRow {
  return {
    suite: 'broadcast',
    name,
    value,
    unit,
    cpuMicrosPerUnit: null,
    reference: null,
    referenceValue: null,
    ratio: null,
    goal: null,
    met: null,
  }
}

function goal(text: string, met: boolean): Pick<BenchRow, 'goal' | 'met'> {
  return { goal: text, met }
}

/** From the first quarter to the end: before it, caches fill. */
function grown(rss: readonly number[]): number {
  return ((rss.at(-1) ?? 0) - (rss[1] ?? 0)) / 2 ** 20
}

/** Of values in ascending order; infinite when there are none. */
export function percentile(ascending: readonly number[], share: number): number {
  return (
    ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ??
    Number.POSITIVE_INFINITY
  )
}
