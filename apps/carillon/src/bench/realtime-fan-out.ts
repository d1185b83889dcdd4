import type { Contestant, Transport } from './realtime-contestants.js'
import { type Load, startLoad } from './realtime-load.js'
import { beside, median, row } from './realtime-rows.js'
import type { BenchRow } from './rows.js'

/** The same process differs by a fifth from turn to turn, by what the caches hold. */
const ROUNDS = 7
/** Each server's turn, one at a time and in bursts. */
const TURN_MS = 600
const BURST = 20
const GOAL_MICROS: Readonly<Record<Transport, number>> = { websocket: 7.5, sse: 8 }
const GOAL_BURSTS = 1_000_000
/** As long as a short notification. */
const TEXT = 'x'.repeat(200)

interface Measured {
  /** CPU microseconds of the server for each delivered message. */
  micros: number
  perSecond: number
}

interface Results {
  single: Measured[]
  bursts: Measured[]
}

/** One message to everybody in a room, the next when all have it; and bursts. The servers take turns. */
export async function benchFanOut(servers: readonly Contestant[], clients: number): Promise<BenchRow[]> {
  const loads = new Map<Contestant, { load: Load; said: number; results: Results }>()
  try {
    for (const server of servers) {
      const load = await startLoad(server, { count: clients, inRoom: true, keep: 'count' })
      loads.set(server, { load, said: 0, results: { single: [], bursts: [] } })
    }
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [server, entry] of loads) {
        const { load, results } = entry
        const measure = async (burst: number): Promise<Measured> => {
          const before = await server.cpuMicros()
          const began = performance.now()
          const said = entry.said
          while (performance.now() - began < TURN_MS) {
            const texts = Array.from({ length: burst }, (_, index) => textOf(entry.said + index))
            await Promise.all([server.say(texts), load.untilEach(entry.said + burst)])
            entry.said += burst
          }
          const seconds = (performance.now() - began) / 1_000
          const delivered = (entry.said - said) * clients
          return {
            micros: ((await server.cpuMicros()) - before) / delivered,
            perSecond: delivered / seconds,
          }
        }
        const single = await measure(1)
        const bursts = await measure(BURST)
        // the first round only makes the code warm
        if (round > 0) {
          results.single.push(single)
          results.bursts.push(bursts)
        }
      }
    }
    return rowsOf(
      [...loads].map(([server, { results }]) => ({ server, results })),
      clients,
    )
  } finally {
    for (const { load } of loads.values()) await load[Symbol.asyncDispose]()
  }
}

function rowsOf(measured: readonly { server: Contestant; results: Results }[], clients: number): BenchRow[] {
  const rows: BenchRow[] = []
  for (const transport of ['websocket', 'sse'] as const) {
    const ofTransport = measured.filter(
      ({ server }) => server.dialect.includes('sse') === (transport === 'sse'),
    )
    const single = ofTransport.map(({ server, results }) =>
      row({
        name: `${server.name}, ${clients.toLocaleString('en')} clients`,
        value: median(results.single.map(({ micros }) => micros)),
        unit: 'µs server CPU per delivered message',
      }),
    )
    const bursts = ofTransport.map(({ server, results }) =>
      row({
        name: `${server.name}, ${clients.toLocaleString('en')} clients, bursts of ${BURST}`,
        value: median(results.bursts.map(({ perSecond }) => perSecond)),
        unit: 'delivered/s',
        cpuMicrosPerUnit: median(results.bursts.map(({ micros }) => micros)),
      }),
    )
    rows.push(...judged(single, (value) => value <= GOAL_MICROS[transport], `≤ ${GOAL_MICROS[transport]} µs`))
    rows.push(...judged(bursts, (value) => value >= GOAL_BURSTS, '≥ 1,000,000/s'))
  }
  return rows
}

/** Ours comes first and has the goal, beside the best of the others. */
function judged(rows: readonly BenchRow[], met: (value: number) => boolean, goal: string): BenchRow[] {
  const [ours, ...others] = rows
  if (ours === undefined) return []
  const reference = others.find(({ name }) => name.startsWith('nchan')) ?? others[0]
  return [{ ...beside(ours, reference), goal, met: met(ours.value) }, ...others]
}

function textOf(n: number): string {
  return JSON.stringify({ n: String(n).padStart(8, '0'), text: TEXT })
}
