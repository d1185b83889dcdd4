import { DispatcherConfig, start } from '@carillon/dispatcher'
import { openConnection } from '@carillon/jetstream'
import { openDatabase } from '@carillon/postgres'
import { createFailpoint, createHealth, createLogger, createMetrics, readConfig } from '@carillon/service'

/** The process that is measured: a dispatcher as it runs in production, until its input ends. */

const connection = await openConnection({ servers: process.env.NATS_URL ?? '', name: 'bench-dispatcher' })
const database = openDatabase({ url: process.env.DATABASE_WORKER_URL ?? '', max: 8 })
const service = await start(readConfig(DispatcherConfig, { env: process.env }), {
  connection,
  database,
  failpoint: createFailpoint(undefined, { production: false }),
  logger: createLogger({ name: 'bench', level: 'error' }),
  metrics: createMetrics(),
  health: createHealth(),
})
process.stdout.write('ready\n')
for await (const _ of process.stdin);
await service[Symbol.asyncDispose]()
await database[Symbol.asyncDispose]()
await connection[Symbol.asyncDispose]()
