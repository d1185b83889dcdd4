import { randomBytes } from 'node:crypto'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import {
  claimEventKeys,
  DatabaseError,
  isTransient,
  maintain,
  migrate,
  openDatabase,
  sqlState,
  type Tx,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const server = await startMigrated(t)
const { superuser, request, worker } = server
const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex')
const add = (tx: Tx, status: string): Promise<unknown> =>
  tx.query({
    text: `INSERT INTO statistics AS s VALUES ('acme', '2026-01-01', 'push', $1, 1)
      ON CONFLICT (tenant_id, day, channel, status) DO UPDATE SET count = s.count + 1`,
    values: [status],
  })
const countOf = async (status: string): Promise<number | undefined> =>
  (
    await worker.query<{ count: number }>({
      text: 'SELECT count FROM statistics WHERE status = $1',
      values: [status],
    })
  ).rows[0]?.count

t.test('migrations apply once, though two begin at once, and again is nothing', async (t) => {
  await superuser.query({ text: 'CREATE DATABASE twice' })
  const ownerUrl = server.superuserUrl.replace(/mesh$/, 'twice')
  const results = await Promise.all([migrate({ ownerUrl }), migrate({ ownerUrl })])
  t.ok(results.flat().length >= 4)
  t.ok(results.some((applied) => applied.length === 0))
  t.same(await migrate({ ownerUrl }), [])
})

t.test('a deadlock between batches with unsorted keys never escapes and loses nothing', async (t) => {
  await worker.inTransaction(async (tx) => {
    await add(tx, 'one')
    await add(tx, 'two')
  })
  let meet: () => void = () => undefined
  const met = new Promise<void>((resolve) => {
    meet = resolve
  })
  let arrived = 0
  const both = async (first: string, second: string): Promise<void> =>
    worker.inTransaction(async (tx) => {
      await add(tx, first)
      if (++arrived === 2) meet()
      await met
      await add(tx, second)
    })
  await Promise.all([both('one', 'two'), both('two', 'one')])
  t.same([await countOf('one'), await countOf('two')], [3, 3])
  t.ok(worker.stats().retries > 0, 'there was a deadlock')
})

t.test('a value that can not be written spoils no connection', async (t) => {
  await using database = openDatabase({ url: server.superuserUrl, max: 1 })
  const unwritable: { self?: unknown } = {}
  unwritable.self = unwritable
  const length = (value: unknown) =>
    database.inTransaction((tx) =>
      tx.query<{ length: number }>({ name: 'length', text: 'SELECT length($1::text)', values: [value] }),
    )
  await t.rejects(length(unwritable), TypeError)
  t.equal((await length('abc')).rows[0]?.length, 3)
})

t.test('of two transactions with the same keys in other orders, exactly one finds each fresh', async (t) => {
  for (let round = 0; round < 15; round++) {
    const keys = Array.from({ length: 200 }, () => randomBytes(16))
    const orders = [keys, keys.slice().reverse(), [...keys, ...keys]]
    const claims = await Promise.all(
      orders.map((order) => worker.inTransaction((tx) => claimEventKeys(tx, order))),
    )
    for (const key of keys) {
      const answers = claims.map((claim) => claim.get(hex(key)))
      if (answers.filter((answer) => answer?.fresh).length !== 1) t.fail('not exactly one fresh')
      if (new Set(answers.map((answer) => answer?.firstSeenMs)).size !== 1) t.fail('two first-seen times')
    }
  }
  t.equal((await worker.inTransaction((tx) => claimEventKeys(tx, []))).size, 0)
})

t.test('a key whose claim was rolled back is fresh again', async (t) => {
  const key = randomBytes(16)
  const failed = worker.inTransaction(async (tx) => {
    await claimEventKeys(tx, [key])
    throw new RangeError('the work failed')
  })
  await t.rejects(failed, RangeError)
  t.ok((await worker.inTransaction((tx) => claimEventKeys(tx, [key]))).get(hex(key))?.fresh)
})

t.test("a key of last week is known, with last week's time", async (t) => {
  const key = randomBytes(16)
  const { rows } = await superuser.query<{ name: string }>({
    text: `SELECT 'event_keys' || to_char(date_trunc('week', now(), 'UTC') AT TIME ZONE 'UTC' - interval '7 days', '_IYYYIW') AS name`,
  })
  await superuser.query({
    text: `INSERT INTO ${rows[0]?.name} VALUES ($1, '2026-01-05T00:00:00.123Z')`,
    values: [key],
  })
  const claimed = (await worker.inTransaction((tx) => claimEventKeys(tx, [key]))).get(hex(key))
  t.same(claimed, { fresh: false, firstSeenMs: Date.parse('2026-01-05T00:00:00.123Z') })
})

t.test('what still waits keeps its partition and that of its event, however old they are', async (t) => {
  const round = { daysAhead: 1, retainDays: 30 }
  const born = new Date(Date.now() - 80 * 86_400_000).toISOString()
  await worker.query({ text: `SELECT ensure_partitions(1, $1)`, values: [born] })
  await superuser.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, recipient, lane, state, plan, in_inbox, created_at, wake_at)
      VALUES (lowest_id_at($1), 'acme', lowest_id_at($1), 'w', 1, 'ada', 'normal', 'waiting', '[]', false, $1, now() + interval '200 days')`,
    values: [born],
  })
  const kept = async () => {
    const { rows } = await superuser.query<{ events: boolean; runs: boolean; deliveries: boolean }>({
      text: `SELECT to_regclass('events' || to_char($1::timestamptz AT TIME ZONE 'UTC', '_YYYYMMDD')) IS NOT NULL AS events,
        to_regclass('runs' || to_char($1::timestamptz AT TIME ZONE 'UTC', '_YYYYMM')) IS NOT NULL AS runs,
        to_regclass('deliveries' || to_char($1::timestamptz AT TIME ZONE 'UTC', '_YYYYMMDD')) IS NOT NULL AS deliveries`,
      values: [born],
    })
    return rows[0]
  }
  await maintain(worker, round)
  t.same(await kept(), { events: true, runs: true, deliveries: false })
  await superuser.query({ text: 'UPDATE runs SET wake_at = NULL' })
  await maintain(worker, round)
  t.same(await kept(), { events: false, runs: false, deliveries: false })
})

t.test('partitions are made ahead, dropped by age, and made by an event when nobody has', async (t) => {
  const round = { daysAhead: 40, retainDays: 30 }
  t.ok((await maintain(worker, round)).partitionsMade > 90)
  t.equal((await maintain(worker, round)).partitionsMade, 0)
  await worker.query({ text: `SELECT ensure_partitions(1, now() - interval '60 days')` })
  // events, deliveries, attempts and receipts by day
  t.ok((await maintain(worker, round)).partitionsDropped >= 4 * 28)
  t.equal((await maintain(worker, round)).partitionsDropped, 0)
  await superuser.query({
    text: `DO $$ BEGIN EXECUTE 'DROP TABLE events' || to_char(now() AT TIME ZONE 'UTC', '_YYYYMMDD'); END $$`,
  })
  await worker.inTransaction((tx) => claimEventKeys(tx, [randomBytes(16)]))
  const insert = (moment: string): Promise<unknown> =>
    worker.query({
      text: `INSERT INTO events (id, tenant_id, source, event_id, type, lane, data, outcome, first_seen)
        VALUES (lowest_id_at($1), 'acme', 's', 'e', 't', 'normal', '{}', '[]', $1)`,
      values: [moment],
    })
  await insert(new Date().toISOString())
  const refused = await insert('2020-01-01T00:00:00Z').catch((error: unknown) => error)
  t.equal(sqlState(refused), '23514')
  t.ok(isTransient(refused), 'a missing partition is not the fault of the row')
})

t.test('a connection that was aborted in the middle is not used again', async (t) => {
  const signal = AbortSignal.timeout(50)
  const stuck = request.inTenant('acme', (tx) => tx.query({ text: 'SELECT pg_sleep(20)' }), { signal })
  await t.rejects(stuck, { code: 'ABORTED' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      request.inTenant('acme', (tx) =>
        tx.query<{ n: number }>({ text: 'SELECT $1::integer AS n', values: [n] }),
      ),
    ),
  )
  t.same(
    answers.map((answer) => answer.rows[0]?.n),
    answers.map((_, n) => n),
  )
})

t.test('a lost connection is reported, is transient, and the next call works', async (t) => {
  const errors: Error[] = []
  await using database = openDatabase({ url: server.superuserUrl, max: 1, onError: (e) => errors.push(e) })
  const killed = await database
    .inTransaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })
      await superuser.query({ text: 'SELECT pg_terminate_backend($1, 5000)', values: [rows[0]?.pid] })
      await tx.query({ text: 'SELECT 1' })
    })
    .catch((error: unknown) => error)
  t.ok(isTransient(killed), String(killed))
  t.equal(await database.health(), undefined)
  await eventually(() => errors.length > 0)
})

t.test(
  'a swallowed failure is not mistaken for a commit, and a transaction ends with its work',
  async (t) => {
    let kept: Tx | undefined
    const swallowed = worker.inTransaction(async (tx) => {
      kept = tx
      await tx.query({ text: 'SELECT 1/0' }).catch((error: unknown) => t.equal(sqlState(error), '22012'))
    })
    await t.rejects(swallowed, { code: 'ROLLED_BACK' })
    await t.rejects(async () => kept?.query({ text: 'SELECT 1' }), { code: 'CLOSED' })
  },
)

t.test('a name that is no tenant never reaches the server, and a closed database says so', async (t) => {
  await t.rejects(
    request.inTenant(`x', true); DROP TABLE runs; --`, async () => 1),
    { code: 'TENANT' },
  )
  const database = openDatabase({ url: server.superuserUrl })
  await database[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await t.rejects(database.query({ text: 'SELECT 1' }), { code: 'CLOSED' })
  await using nowhere = openDatabase({ url: 'postgres://x@127.0.0.1:1/x' })
  const error = await nowhere.query({ text: 'SELECT 1' }).catch((error: unknown) => error)
  t.ok(error instanceof DatabaseError && isTransient(error))
  t.equal(await nowhere.health(), 'no connection to PostgreSQL')
})
