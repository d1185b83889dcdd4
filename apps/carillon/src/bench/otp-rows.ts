import { percentile } from './broadcast-rows.js'
import type { BenchRow } from './rows.js'

/** One part of the broadcast. */
export interface OtpPhase {
  /** People told, or phones that rang. */
  units: number
  ms: number
  /** Milliseconds of codes meanwhile, ascending. */
  latencies: number[]
}

const GOAL_P99_MS = 250

export function rowsOf(result: { quiet: number[]; telling: OtpPhase; ringing: OtpPhase }): BenchRow[] {
  const { quiet, telling, ringing } = result
  const alone = percentile(quiet, 0.99)
  const phase = ({ units, ms, latencies }: OtpPhase, name: string, unit: string): BenchRow[] => {
    const p99 = percentile(latencies, 0.99)
    return [
      row(`broadcast: ${units.toLocaleString('en')} ${name}`, (units * 1_000) / ms, unit),
      row('  codes meanwhile, p50', percentile(latencies, 0.5), 'ms'),
      {
        ...row('  codes meanwhile, p99', p99, 'ms'),
        reference: 'codes alone',
        referenceValue: alone,
        ratio: p99 / alone,
        goal: `< ${GOAL_P99_MS} ms`,
        met: p99 < GOAL_P99_MS,
      },
    ]
  }
  return [
    row('codes alone, p50', percentile(quiet, 0.5), 'ms'),
    row('codes alone, p99', alone, 'ms'),
    ...phase(telling, 'told', 'told/s'),
    ...phase(ringing, 'pushes after that', 'pushes/s'),
  ]
}

function row(name: string, value: number, unit: string): BenchRow {
  const none = {
    cpuMicrosPerUnit: null,
    reference: null,
    referenceValue: null,
    ratio: null,
    goal: null,
    met: null,
  }
  return { suite: 'otp', name, value, unit, ...none }
}
