import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type EngineServer, startPostgres } from '@carillon/engines'
import pg from 'pg'
import { eventually, NeverHappened } from './eventually.js'
import { type TestScope, useFolder } from './scope.js'

/** Where the test runner keeps the superuser's address of the PostgreSQL that all test files share. */
export const sharedPostgresVariable = 'CARILLON_TEST_POSTGRES_URL'

export interface UsePostgresOptions {
  /** Brings an empty database to the schema wanted, and closes its connections; absent: the database stays empty. */
  readonly migrate?: (url: string) => Promise<unknown>
  /** Names what `migrate` makes: equal keys share one template database. */
  readonly template?: string
  /** A server of its own that really syncs: for tests that cut it off. `server` is set then. */
  readonly durable?: boolean
  /** Settings of a server of its own; having some means to have one. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface TestDatabase {
  /** The superuser's address of a database that belongs to this test alone. */
  readonly url: string
  readonly name: string
  /** Only for a server of its own: to stop, kill and restart it. */
  readonly server: EngineServer | undefined
}

/**
 * A database of its own for a test: a copy of a template that `migrate` made once. Roles belong to the whole server, so
 * migrations must bear to find theirs. Connections still open when the test ends fail it; then the database is dropped.
 */
export async function usePostgres(t: TestScope, options: UsePostgresOptions = {}): Promise<TestDatabase> {
  const shared = process.env[sharedPostgresVariable]
  const own = options.durable || options.settings || !shared ? await startOwn(t, options) : undefined
  const root = own?.url ?? shared ?? ''
  const name = `test_${randomBytes(6).toString('hex')}`
  const template = await prepareTemplate(root, options)
  await asSuperuser(root, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  const url = new URL(root)
  url.pathname = `/${name}`
  t.teardown(() => dropUnused(root, name, own))
  return { url: url.href, name, server: own }
}

async function startOwn(t: TestScope, options: UsePostgresOptions): Promise<EngineServer> {
  const folder = await useFolder(t, 'carillon-postgres')
  const quick = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
  const settings = { max_connections: '100', ...(options.durable ? {} : quick), ...options.settings }
  const server = await startPostgres({ dataDir: join(folder, 'data'), fromTemplate: true, settings })
  t.teardown(() => server.stop())
  return server
}

/** The name of the template, made under a lock of the whole server: also roles can't be made twice at once then. */
async function prepareTemplate(root: string, options: UsePostgresOptions): Promise<string> {
  const { migrate } = options
  if (!migrate) return 'template0'
  const key = createHash('sha256')
    .update(options.template ?? migrate.toString())
    .digest('hex')
    .slice(0, 16)
  const name = `template_${key}`
  const draft = `${name}_draft`
  return asSuperuser(root, async (client) => {
    await client.query('SELECT pg_advisory_lock(726174)')
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
    if (found.rowCount) return name
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${draft} TEMPLATE template0`)
    const url = new URL(root)
    url.pathname = `/${draft}`
    await migrate(url.href)
    await waitUntilUnused(client, draft)
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${name}`)
    return name
  })
}

async function dropUnused(root: string, name: string, own: EngineServer | undefined): Promise<void> {
  if (own && !own.running) return
  await asSuperuser(root, async (client) => {
    try {
      await waitUntilUnused(client, name)
    } finally {
      await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
  })
}

/** A connection that was just closed stays listed for a moment. */
async function waitUntilUnused(client: pg.Client, name: string): Promise<void> {
  const open = async () => {
    const text =
      "SELECT coalesce(application_name, '') AS by, query FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"
    return (await client.query<{ by: string; query: string }>(text, [name])).rows
  }
  try {
    await eventually(async () => (await open()).length === 0, { timeoutMs: 20_000 })
  } catch (error) {
    if (!(error instanceof NeverHappened)) throw error
    const rows = await open()
    const detail = rows.map(({ by, query }) => `${by || 'unnamed'}: ${query}`).join('; ')
    throw new Error(`${rows.length} connections to ${name} were left open (${detail})`)
  }
}

async function asSuperuser<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}
