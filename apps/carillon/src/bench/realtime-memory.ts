import type { Contestant, Transport } from './realtime-contestants.js'
import { startLoad } from './realtime-load.js'
import { beside, row } from './realtime-rows.js'
import type { BenchRow } from './rows.js'

/** Other people's connections that come and go before: code is compiled, and what is kept for everybody is there. */
const WARM_UP = 500
const GOAL_BYTES: Readonly<Record<Transport, number>> = { websocket: 10 * 1024, sse: 16 * 1024 }

/** What each open, idle connection keeps of a server's memory; one person each. The kernel's part is not seen. */
export async function benchMemory(servers: readonly Contestant[], clients: number): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const server of servers) {
    const warm = await startLoad(server, { count: WARM_UP, from: clients, inRoom: false, keep: 'count' })
    await warm[Symbol.asyncDispose]()
    const before = await server.memory()
    await using load = await startLoad(server, { count: clients, inRoom: false, keep: 'count' })
    const after = await server.memory()
    const each = (after.rss - before.rss) / clients
    const held = (after.held - before.held) / clients
    const perSecond = Math.round(clients / (load.opened.ms / 1_000)).toLocaleString('en')
    rows.push(
      row({
        name: `${server.name}, ${clients.toLocaleString('en')} idle (${kilobytes(held)} of it held; ${perSecond} opened/s)`,
        value: each / 1_024,
        unit: 'KB each',
      }),
    )
  }
  const [websocket, sse] = (['websocket', 'sse'] as const).map((transport) =>
    rows.findIndex(({ name }) => name.startsWith(`carillon ${transport}`)),
  )
  return rows.map((measured, index) => {
    const transport = index === websocket ? 'websocket' : index === sse ? 'sse' : undefined
    if (transport === undefined) return measured
    const reference = rows.find(({ name }) => name.startsWith(`nchan ${transport}`))
    const goal = GOAL_BYTES[transport] / 1_024
    return { ...beside(measured, reference), goal: `≤ ${goal} KB`, met: measured.value <= goal }
  })
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_024).toFixed(1)} KB`
}
