import { usePostgres } from '@carillon/testkit'
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

/** A PostgreSQL of its own for one test file, without a schema. Deadlocks are found soon. */
export async function startPostgres(t: Test): Promise<TestServer> {
  // a commit that isn't flushed leaves VACUUM nothing to mark as visible to all
  // nor does one that autovacuum, reading somewhere else, could not see yet; and what it uses can't be dropped
  const settings = {
    max_wal_size: '4GB',
    deadlock_timeout: '100ms',
    synchronous_commit: 'on',
    autovacuum: 'off',
  }
  const { url } = await usePostgres(t, { settings })
  await using database = openDatabase({ url })
  await database.query({ text: 'CREATE ROLE mesh_owner LOGIN CREATEROLE' })
  await database.query({ text: 'CREATE DATABASE mesh OWNER mesh_owner' })
  const { host } = new URL(url)
  return { superuserUrl: `postgres://postgres@${host}/mesh`, ownerUrl: `postgres://mesh_owner@${host}/mesh` }
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
