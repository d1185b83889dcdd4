import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EngineServer, startNats, startPostgres } from '@carillon/engines'
import { applyTopology, type Connection, openConnection } from '@carillon/jetstream'
import { createLogins, type Database, migrate, openDatabase } from '@carillon/postgres'
import { readTopology } from '../mesh/topology-files.js'

/** Engines of a suite's own, with topology and schema. */
export interface BenchEngines {
  nats: EngineServer
  postgres: EngineServer
  connection: Connection
  owner: Database
  /** Address with the worker's login. */
  workerUrl: string
}

/** Nobody takes the jobs away here, so the queue needs room for all of them. */
const ROOM = 'streams: { JOBS_PUSH: { max_msgs_per_subject: 10000000, max_bytes: 8GiB } }'

/**
 * Starts engines in a folder that is removed afterwards, whatever happens.
 * @param options.statementTimeoutMs longest statement of the owner
 */
export async function withEngines<T>(
  work: (engines: BenchEngines) => Promise<T>,
  options: { statementTimeoutMs?: number } = {},
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'carillon-bench-'))
  const nats = await startNats({ dataDir: join(folder, 'nats'), maxStore: '20G' })
  const postgres = await startPostgres({
    dataDir: join(folder, 'postgres'),
    settings: { shared_buffers: '512MB', max_wal_size: '4GB' },
  })
  try {
    await migrate({ ownerUrl: postgres.url })
    const { workerUrl } = await createLogins({
      ownerUrl: postgres.url,
      requestLogin: { name: 'bench_request', password: 'bench-request' },
      workerLogin: { name: 'bench_worker', password: 'bench-worker' },
    })
    await using connection = await openConnection({ servers: nats.url, name: 'bench' })
    await applyTopology(connection, await readTopology('single', [ROOM]))
    await using owner = openDatabase({ url: postgres.url, max: 2, ...options })
    return await work({ nats, postgres, connection, owner, workerUrl })
  } finally {
    await nats.stop()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
