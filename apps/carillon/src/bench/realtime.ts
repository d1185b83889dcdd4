import { STREAMS } from '@carillon/contracts'
import { createWindowPublisher } from '@carillon/jetstream'
import type { CommandContext } from '../cli.js'
import { CommandError, EXIT } from '../terminal/failure.js'
import { createProgress } from '../terminal/progress.js'
import type { BenchArguments } from './bench.js'
import { type BenchEngines, withEngines } from './engines.js'
import { type Contestant, type Mesh, startNchans, startOurs, startPeer } from './realtime-contestants.js'
import { benchFanOut } from './realtime-fan-out.js'
import { answerAsGateway } from './realtime-gateway.js'
import { benchLatency } from './realtime-latency.js'
import { benchMemory } from './realtime-memory.js'
import { PEERS } from './realtime-peer-names.js'
import { absent } from './realtime-rows.js'
import { benchStorm } from './realtime-storm.js'
import type { BenchRow } from './rows.js'

const FAN_OUT_CLIENTS = [1_000, 5_000]
const MANY_CLIENTS = 10_000

interface Stage {
  engines: BenchEngines
  mesh: Mesh
  clients: number | undefined
  step<T>(text: string, work: () => Promise<T>): Promise<T>
}

/** What `--rows` chooses from. */
const PARTS: Readonly<Record<string, (stage: Stage) => Promise<BenchRow[]>>> = {
  'fan-out': fanOut,
  memory,
  storm,
  latency,
}

/**
 * A realtime node beside Socket.IO, plain ws and nchan: what delivering a message costs, what an idle connection holds,
 * how fast everybody is back after a cut; and how long an event takes to a client. Servers and clients are a process each.
 */
export async function benchRealtime(args: BenchArguments, _context: CommandContext): Promise<BenchRow[]> {
  const names = args.rows?.split(',') ?? Object.keys(PARTS)
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name))
  if (unknown !== undefined) {
    throw new CommandError(`The realtime suite has no rows "${unknown}".`, {
      remedy: `Rows are ${Object.keys(PARTS).join(', ')}.`,
      exitCode: EXIT.usage,
    })
  }
  const progress = createProgress(process.stdout)
  return withEngines(async (engines) => {
    await using publisher = createWindowPublisher(engines.connection, {
      stream: STREAMS.live,
      giveUpMs: 30_000,
    })
    await using _gateway = answerAsGateway(engines.connection)
    const mesh = { natsUrl: engines.nats.url, publisher }
    const stage = { engines, mesh, clients: args.clients, step: progress.step.bind(progress) }
    const rows: BenchRow[] = []
    for (const name of names) rows.push(...(await (PARTS[name] as (typeof PARTS)[string])(stage)))
    return rows
  })
}

async function fanOut(stage: Stage): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const clients of stage.clients === undefined ? FAN_OUT_CLIENTS : [stage.clients]) {
    rows.push(
      ...(await stage.step(`one message to ${clients.toLocaleString('en')} clients`, () =>
        withAll(stage, async (servers) => {
          await using another = await startOurs('sse', stage.mesh)
          const both = { ...another, name: `${another.name} and own channel` }
          // as with the others, the room alone; what it costs that each client's ids are its own is a row besides
          const alone = servers.map((server) =>
            server.dialect === 'carillon-sse' ? { ...server, own: false } : server,
          )
          return await benchFanOut([...alone, both], clients)
        }),
      )),
    )
  }
  return rows
}

function memory(stage: Stage): Promise<BenchRow[]> {
  const clients = stage.clients ?? MANY_CLIENTS
  return stage.step(`${clients.toLocaleString('en')} idle connections`, () =>
    withAll(stage, (servers) => benchMemory(servers, clients)),
  )
}

async function storm(stage: Stage): Promise<BenchRow[]> {
  const clients = stage.clients ?? MANY_CLIENTS
  const rows: BenchRow[] = []
  for (const transport of ['websocket', 'sse'] as const) {
    await using server = await startOurs(transport, stage.mesh, {})
    rows.push(
      ...(await stage.step(`${clients.toLocaleString('en')} dropped and back, ${transport}`, () =>
        benchStorm(server, stage.mesh, clients),
      )),
    )
  }
  return rows
}

async function latency(stage: Stage): Promise<BenchRow[]> {
  await using server = await startOurs('websocket', stage.mesh)
  return await stage.step('event to client', () => benchLatency(server, stage.engines))
}

/** Ours and all the others, ended afterwards whatever happens. */
async function withAll(
  { mesh }: Stage,
  work: (servers: readonly Contestant[]) => Promise<BenchRow[]>,
): Promise<BenchRow[]> {
  const servers: Contestant[] = []
  try {
    for (const transport of ['websocket', 'sse'] as const) servers.push(await startOurs(transport, mesh))
    for (const peer of PEERS) servers.push(await startPeer(peer))
    const nchans = await startNchans(['websocket', 'sse'])
    if (typeof nchans !== 'string') servers.push(...nchans)
    const rows = await work(servers)
    return typeof nchans === 'string' ? [...rows, absent('nchan', nchans)] : rows
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]()
  }
}
