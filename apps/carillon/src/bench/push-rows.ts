import type { MeasuredProvider } from './push-messages.js'
import type { BenchRow } from './rows.js'

/** One round of one client: messages a second, and CPU microseconds a message of it and of the simulators. */
export interface PushRound {
  perSecond: number
  client: number
  simulator: number
}

/** What one provider gave, and over what. */
export interface PushResult {
  provider: MeasuredProvider
  raw: readonly PushRound[]
  ours: readonly PushRound[]
  /** Sessions or connections, with streams, of both clients. */
  over: string
}

interface Goal {
  perSecond: number
  cpuMicros?: number
}

const GOALS: Partial<Record<MeasuredProvider, Goal>> = {
  fcm: { perSecond: 3_000, cpuMicros: 180 },
  apns: { perSecond: 7_000, cpuMicros: 130 },
  webpush: { perSecond: 2_000 },
}

/**
 * The raw client; the sender beside it, and what it would send with a core to itself, which others on the machine don't
 * change; what the simulators spent meanwhile: near 100 % busy they are the limit.
 */
export function rowsOf({ provider, raw, ours, over }: PushResult): BenchRow[] {
  const reference = rowOf(`${provider}: raw client, ${over}`, raw)
  const sender = rowOf(`${provider}: sender`, ours)
  const simulator = median(ours, (round) => round.simulator)
  const busy = median(ours, (round) => (round.simulator * round.perSecond) / 1e4)
  return [
    reference,
    {
      ...sender,
      reference: 'the raw client',
      referenceValue: reference.value,
      ratio: sender.value / reference.value,
      ...judged(sender, GOALS[provider]),
    },
    {
      ...rowOf('  with a core of its own', []),
      value: 1e6 / (sender.cpuMicrosPerUnit ?? Number.POSITIVE_INFINITY),
    },
    { ...rowOf(`  its simulator, ${busy.toFixed(0)} % busy`, []), value: simulator, unit: 'µs CPU each' },
  ]
}

function rowOf(name: string, rounds: readonly PushRound[]): BenchRow {
  return {
    suite: 'push',
    name,
    value: median(rounds, (round) => round.perSecond),
    unit: 'messages/s',
    cpuMicrosPerUnit: rounds.length === 0 ? null : median(rounds, (round) => round.client),
    reference: null,
    referenceValue: null,
    ratio: null,
    goal: null,
    met: null,
  }
}

function judged(row: BenchRow, goal: Goal | undefined): Pick<BenchRow, 'goal' | 'met'> {
  if (goal === undefined) return { goal: null, met: null }
  const { perSecond, cpuMicros = Number.POSITIVE_INFINITY } = goal
  return {
    goal: `≥ ${perSecond.toLocaleString('en')}/s${Number.isFinite(cpuMicros) ? ` at ≤ ${cpuMicros} µs` : ''}`,
    met: row.value >= perSecond && (row.cpuMicrosPerUnit ?? 0) <= cpuMicros,
  }
}

function median(rounds: readonly PushRound[], pick: (round: PushRound) => number): number {
  return rounds.map(pick).sort((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? 0
}
