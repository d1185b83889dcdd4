import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { dispatcherDurable, STREAMS } from '@carillon/contracts'
import { DispatcherConfig, start } from '@carillon/dispatcher'
import { backlogOf, type Connection, openConnection, streamState } from '@carillon/jetstream'
import { type Database, openDatabase } from '@carillon/postgres'
import { createFailpoint, createHealth, createLogger, createMetrics, readConfig } from '@carillon/service'
import { startRawPath } from './raw-path.js'

/** The process that is measured: for each line on its input it consumes what stands in EVENTS, and tells the cost. */

const durable = { stream: STREAMS.events, durable: dispatcherDurable('normal') }
const connection = await openConnection({ servers: process.env.NATS_URL ?? '', name: 'bench-worker' })
const database = openDatabase({ url: process.env.DATABASE_WORKER_URL ?? '', max: 8 })
const begin =
  process.argv[2] === 'raw'
    ? () => startRawPath(connection, database, durable)
    : () => startDispatcher(connection, database)

// `rolling` stays up until its input ends; the others are started anew for each round
await using _rolling = process.argv[2] === 'rolling' ? await startDispatcher(connection, database) : undefined
process.stdout.write('ready\n')
for await (const _ of createInterface({ input: process.stdin })) {
  const cpu = process.cpuUsage()
  const began = performance.now()
  const service = await begin()
  await untilNothingIsLeft()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  await service[Symbol.asyncDispose]()
  process.stdout.write(`${JSON.stringify({ ms, cpuMicros: user + system })}\n`)
}
await database[Symbol.asyncDispose]()
await connection[Symbol.asyncDispose]()

function startDispatcher(on: Connection, with_: Database): Promise<AsyncDisposable> {
  return start(readConfig(DispatcherConfig, { env: process.env }), {
    connection: on,
    database: with_,
    failpoint: createFailpoint(undefined, { production: false }),
    logger: createLogger({ name: 'bench', level: 'error' }),
    metrics: createMetrics(),
    health: createHealth(),
  })
}

async function untilNothingIsLeft(): Promise<void> {
  for (;;) {
    const { acknowledgedTo } = await backlogOf(connection, durable)
    if (acknowledgedTo >= (await streamState(connection, durable.stream)).lastSequence) return
    await sleep(5)
  }
}
