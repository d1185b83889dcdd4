import { percentile } from './broadcast-rows.js'
import type { Codes } from './otp-probe.js'
import type { BenchRow } from './rows.js'

/** One part of the broadcast. */
export interface OtpPhase {
  /** People told, or phones that rang. */
  units: number
  ms: number
  /** CPU microseconds of the delivery worker meanwhile, per unit. */
  workerMicros: number
  codes: Codes
}

const GOAL_P99_MS = 250

export function rowsOf(result: { quiet: Codes; telling: OtpPhase; ringing: OtpPhase }): BenchRow[] {
  const { quiet, telling, ringing } = result
  const alone = percentile(quiet.accepted, 0.99)
  const phase = (of: OtpPhase, name: string, unit: string): BenchRow[] => {
    const p99 = percentile(of.codes.accepted, 0.99)
    return [
      {
        ...row(`broadcast: ${of.units.toLocaleString('en')} ${name}`, (of.units * 1_000) / of.ms, unit),
        cpuMicrosPerUnit: of.workerMicros,
      },
      ...claimed(of.codes),
      row('  codes meanwhile, p50', percentile(of.codes.accepted, 0.5), 'ms'),
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
    ...claimed(quiet),
    row('codes alone, p50', percentile(quiet.accepted, 0.5), 'ms'),
    row('codes alone, p99', alone, 'ms'),
    ...phase(telling, 'told', 'told/s'),
    // few pushes have all rung by then
    ...(ringing.units > 0 ? phase(ringing, 'pushes after that', 'pushes/s') : []),
  ]
}

function claimed({ claimed: times }: Codes): BenchRow[] {
  return [0.5, 0.99].map((share) =>
    row(`  until a worker has it, p${share * 100}`, percentile(times, share), 'ms'),
  )
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
