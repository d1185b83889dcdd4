import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t from 'tap'
import { isDataError, markInbox, sqlState } from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const server = await startMigrated(t)
const { superuser, owner, request, worker } = server
const user = randomUUID()
const runs = { acme: '', globex: '' }

const stateOf = async (work: Promise<unknown>): Promise<string | undefined> => {
  try {
    await work
    return undefined
  } catch (error) {
    return sqlState(error) ?? String(error)
  }
}

for (const tenant of ['acme', 'globex'] as const) {
  await worker.inTransaction(async (tx) => {
    const { rows } = await tx.query<{ id: string }>({
      text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state,
          plan, content, in_inbox, created_at)
        VALUES (encode(substr(uuid_send(lowest_id_at(now())), 1, 6) || substr(uuid_send(gen_random_uuid()), 7), 'hex')::uuid,
          $1, gen_random_uuid(), 'welcome', 1, $2, 'x', 'normal', 'completed', '[]', '{"inbox":{"title":"secret"}}', true, now())
        RETURNING id`,
      values: [tenant, user],
    })
    runs[tenant] = rows[0]?.id ?? ''
    await tx.query({
      text: `INSERT INTO audit (tenant_id, sequence, fact_id, fact, previous_hash, hash) VALUES ($1, 1, 'f', '{}', '', '')`,
      values: [tenant],
    })
  })
  await request.inTenant(tenant, (tx) =>
    tx.query({
      text: `INSERT INTO api_keys (id, tenant_id, name, hash, scopes) VALUES ($1, $2, 'the secret name', 'hash', '{admin}')`,
      values: [`key00000${tenant}`, tenant],
    }),
  )
}

const { rows: tables } = await superuser.query<{ name: string; partition: boolean }>({
  text: `SELECT relname AS name, relispartition AS partition FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1`,
})
const free = /^event_keys_|^carillon_migrations$/

t.test('every table of a tenant has row-level security, forced', async (t) => {
  const { rows } = await superuser.query<{ name: string }>({
    text: `SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
      AND NOT (relrowsecurity AND relforcerowsecurity)`,
  })
  t.same(
    rows.filter((row) => !free.test(row.name)),
    [],
  )
})

t.test('without a tenant, requests and the owner see and change nothing', async (t) => {
  let seen = 0
  for (const table of tables.filter((row) => !row.partition && !free.test(row.name))) {
    for (const [role, database] of Object.entries({ request, owner })) {
      const result = await database
        .query<{ n: number }>({ text: `SELECT count(*) AS n FROM ${table.name}` })
        .catch((error: unknown) => sqlState(error))
      const count = typeof result === 'object' ? result.rows[0]?.n : result
      t.ok(count === 0 || (count === '42501' && role === 'request'), `${role} in ${table.name}: ${count}`)
      seen++
    }
  }
  t.ok(seen > 30)
  const { rowCount } = await request.query({ text: 'UPDATE runs SET read_at = now()' })
  t.equal(rowCount, 0)
})

t.test("a tenant sees its own rows and can't reach, move or forge another's", async (t) => {
  const seen = await request.inTenant('acme', (tx) =>
    tx.query<{ tenant: string }>({ text: 'SELECT tenant_id AS tenant FROM runs' }),
  )
  t.same(seen.rows, [{ tenant: 'acme' }])
  const marked = await request.inTenant('acme', (tx) =>
    markInbox(tx, {
      tenant: 'globex',
      userId: user,
      ids: [runs.globex],
      mark: 'read',
      set: true,
      atMs: Date.now(),
    }),
  )
  t.same(marked, [])
  const forge = request.inTenant('acme', (tx) =>
    tx.query({
      text: `INSERT INTO users (tenant_id, id, external_id) VALUES ('globex', gen_random_uuid(), 'forged')`,
    }),
  )
  t.equal(await stateOf(forge), '42501')
  const move = request.inTenant('acme', (tx) =>
    tx.query({ text: `UPDATE api_keys SET tenant_id = 'globex'` }),
  )
  t.equal(await stateOf(move), '42501')
})

t.test('a tenant named in one transaction is forgotten by the next on the same connection', async (t) => {
  const client = new pg.Client({ connectionString: server.superuserUrl })
  await client.connect()
  t.teardown(() => client.end())
  for (let round = 0; round < 20; round++) {
    await request.inTenant(round % 2 ? 'acme' : 'globex', (tx) => tx.query({ text: 'SELECT 1' }))
    const { rows } = await request.query<{ n: number }>({ text: 'SELECT count(*) AS n FROM runs' })
    t.equal(rows[0]?.n, 0)
  }
  t.equal(request.stats().total, 1)
})

t.test("a unique violation tells nothing of another tenant's row", async (t) => {
  const insert = (conflict: string): Promise<unknown> =>
    request.inTenant('acme', (tx) =>
      tx.query({
        text: `INSERT INTO api_keys (id, tenant_id, name, hash) VALUES ('key00000globex', 'acme', 'mine', 'hash') ${conflict}`,
      }),
    )
  const error = await insert('').catch((error: unknown) => error)
  if (!(error instanceof pg.DatabaseError)) throw error
  t.equal(error.code, '23505')
  t.ok(isDataError(error))
  t.notMatch(JSON.stringify({ ...error, message: error.message }), /secret|admin|globex/)
  t.equal(await stateOf(insert('ON CONFLICT (id) DO UPDATE SET name = excluded.name')), '42501')
})

t.test('a key is found before its tenant is known, and only that key', async (t) => {
  const found = await request.query<{ tenant_id: string }>({
    text: `SELECT tenant_id, current_setting('carillon.api_key', true) AS left FROM find_api_key('key00000globex')`,
  })
  t.same(found.rows, [{ tenant_id: 'globex', left: found.rows.length === 1 ? '' : undefined }])
  const { rows } = await request.query({ text: `SELECT * FROM find_api_key('%')` })
  t.same(rows, [])
})

t.test('requests change only the marks of a notification', async (t) => {
  for (const text of [`UPDATE runs SET state = 'failed'`, 'DELETE FROM runs', `UPDATE audit SET fact = ''`]) {
    t.equal(await stateOf(request.inTenant('acme', (tx) => tx.query({ text }))), '42501', text)
  }
})

t.test('the worker appends to the trail, and can neither mend it nor reach partitions', async (t) => {
  for (const text of [
    `UPDATE audit SET fact = ''`,
    'DELETE FROM audit',
    'TRUNCATE audit',
    'DELETE FROM runs',
    'SELECT * FROM api_keys',
    `SELECT find_api_key('x')`,
    `UPDATE users SET status = 'active'; ALTER TABLE users DISABLE ROW LEVEL SECURITY`,
  ]) {
    t.equal(await stateOf(worker.query({ text })), '42501', text)
  }
  const partitions = tables.filter((row) => row.partition || row.name.startsWith('event_keys_'))
  t.ok(partitions.length > 50)
  for (const { name } of partitions) {
    for (const database of [worker, request]) {
      const state = await stateOf(database.query({ text: `SELECT FROM ${name}` }))
      if (state !== '42501') t.fail(`${name}: ${state}`)
    }
  }
})

t.test('only workers make and drop partitions', async (t) => {
  for (const text of [
    'SELECT ensure_partitions(1)',
    'SELECT drop_old_partitions(1)',
    `SELECT claim_event_keys('{}')`,
  ]) {
    t.equal(await stateOf(request.query({ text })), '42501', text)
  }
})
