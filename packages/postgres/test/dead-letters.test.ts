import { randomUUID } from 'node:crypto'
import t from 'tap'
import {
  applyDeliveryNews,
  claimDeliveries,
  claimDueDeliveries,
  countDeadLetters,
  type DeadLetterFilter,
  deadLettersInOrder,
  deadLettersStatement,
  deleteUser,
  deliveriesOf,
  findDeadLetter,
  insertReceipts,
  listDeadLetters,
  MOST_REDRIVEN,
  redriveDeadLetters,
  type TenantReceipt,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const { superuser, request, worker } = await startMigrated(t)
const HOUR = 3_600_000
const began = Date.now() - 2 * HOUR
const minute = (n: number) => new Date(began + n * 60_000)
const ada = randomUUID()
const eve = randomUUID()
await superuser.query({
  text: `INSERT INTO users (tenant_id, id, external_id) VALUES ('acme', $1, 'ada'), ('acme', $2, 'eve'), ('globex', $1, 'ada')`,
  values: [ada, eve],
})

interface Letter {
  tenant?: string
  user?: string
  workflow?: string
  channel?: string
  address?: readonly [kind: string, address: string]
  status?: string
  reason?: string
  provider?: string
  unknowns?: number
  attempts?: number
  expires?: Date
  failed: Date
}

async function put(letter: Letter) {
  const { tenant = 'acme', user = ada, workflow = 'rides', channel = 'email', status = 'failed' } = letter
  const [kind, address] = letter.address ?? ['email', 'ada@example.com']
  const { rows } = await superuser.query<{ runId: string; id: string }>({
    text: `WITH run AS (
        INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
        SELECT (left(lowest_id_at(now())::text, 14) || '8' || substr(gen_random_uuid()::text, 16))::uuid, $1, gen_random_uuid(), $2, 1, $3, 'ada',
          'normal', 'completed', '[]', '{"inbox":{"title":"Hello"},"1":{"title":"Hello by mail"}}', true, now() RETURNING id)
      INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, reason, detail, provider,
        attempt_no, max_attempts, attempts_each, tried, unknowns, expires_at, created_at, updated_at)
      SELECT id, gen_random_uuid(), $1, $3, $4, 'normal', 1, $5, $6, $7, $8, 'HTTP 503', $9, $10, $10, 3, ARRAY[gen_random_uuid()], $11, $12, $13, $13
      FROM run RETURNING run_id AS "runId", id`,
    values: [
      tenant,
      workflow,
      user,
      channel,
      kind,
      address,
      status,
      letter.reason ?? 'PROVIDER_UNAVAILABLE',
      letter.provider ?? 'smtp',
      letter.attempts ?? 6,
      letter.unknowns ?? 0,
      letter.expires ?? null,
      letter.failed,
    ],
  })
  return rows[0] as { runId: string; id: string }
}

const list = (filter: DeadLetterFilter, tenant = 'acme') =>
  request.inTenant(tenant, (tx) => listDeadLetters(tx, { tenant, filter, limit: 100 }), { readOnly: true })
const redrive = (keys: { runId: string; id: string }[], options: { even?: boolean; dryRun?: boolean } = {}) =>
  request.inTenant('acme', (tx) =>
    redriveDeadLetters(tx, {
      tenant: 'acme',
      keys,
      evenUnknown: options.even === true,
      dryRun: options.dryRun === true,
    }),
  )
const rowOf = async ({ id }: { id: string }) =>
  (await superuser.query({ text: 'SELECT * FROM deliveries WHERE id = $1', values: [id] })).rows[0]

t.test(
  'dead letters are found by what they are and by when they failed, and never by a stranger',
  async (t) => {
    const early = await put({ failed: minute(1) })
    const push = await put({
      failed: minute(10),
      channel: 'push',
      provider: 'fcm',
      address: ['device', randomUUID()],
    })
    const rides = await put({ failed: minute(20), workflow: 'other', reason: 'PAYLOAD_INVALID', user: eve })
    const theirs = await put({ failed: minute(10), tenant: 'globex' })
    await put({ failed: minute(10), status: 'sent' })
    const ids = async (filter: DeadLetterFilter) => (await list(filter)).map(({ id }) => id)
    t.same(await ids({}), [rides.id, push.id, early.id], 'what failed last comes first')
    t.same(await ids({ channel: 'push' }), [push.id])
    t.same(await ids({ provider: 'fcm' }), [push.id])
    t.same(await ids({ reason: 'PAYLOAD_INVALID' }), [rides.id])
    t.same(await ids({ workflow: 'other' }), [rides.id])
    t.same(await ids({ userId: eve }), [rides.id])
    t.same(await ids({ from: minute(10), to: minute(20) }), [push.id], 'from then on and before then')
    t.same(await ids({ replayed: true }), [])
    t.same((await ids({ replayed: false })).length, 3)
    t.same(
      (await list({}, 'globex')).map(({ id }) => id),
      [theirs.id],
    )
    const found = (tenant: string) =>
      request.inTenant(tenant, (tx) => findDeadLetter(tx, { tenant, ...push }), { readOnly: true })
    t.match(await found('acme'), { status: 'failed', workflow: 'rides', content: { title: 'Hello by mail' } })
    t.equal(await found('globex'), undefined)
    const other = await request.inTenant('acme', (tx) =>
      redriveDeadLetters(tx, { tenant: 'acme', keys: [theirs], evenUnknown: true, dryRun: false }),
    )
    t.match(other, [{ refused: 'UNKNOWN' }])
    t.match(await rowOf(theirs), { status: 'failed' })
    const counted = await countDeadLetters(superuser, 100)
    t.same(counted, [
      { channel: 'email', reason: 'PAYLOAD_INVALID', count: 1 },
      { channel: 'email', reason: 'PROVIDER_UNAVAILABLE', count: 2 },
      { channel: 'push', reason: 'PROVIDER_UNAVAILABLE', count: 1 },
    ])
  },
)

t.test('pages end, also where many failed within one microsecond', async (t) => {
  const same = minute(30)
  const put15 = await Promise.all(
    Array.from({ length: 15 }, () => put({ failed: same, workflow: 'pages', address: ['email', 'p@x'] })),
  )
  const filter = { workflow: 'pages' }
  for (const read of [listDeadLetters, deadLettersInOrder]) {
    const seen: string[] = []
    for (let after: { atMicros: number; id: string } | undefined; ; ) {
      const at = after
      const page = await request.inTenant('acme', (tx) =>
        read(tx, { tenant: 'acme', filter, after: at, limit: 4 }),
      )
      seen.push(...page.map(({ id }) => id))
      after = page.at(-1)
      if (page.length < 4) break
    }
    t.same([...seen].sort(), put15.map(({ id }) => id).sort())
  }
})

t.test('each goes once, however often it is asked for, at once or later', async (t) => {
  const letters = await Promise.all(
    Array.from({ length: 40 }, () => put({ failed: minute(40), workflow: 'once' })),
  )
  t.ok((await redrive(letters, { dryRun: true })).every(({ refused }) => refused === null))
  t.match(await rowOf(letters[0] as { id: string }), { status: 'failed', replays: 0 }, 'a dry run only tells')
  const answers = await Promise.all([redrive(letters), redrive([...letters].reverse()), redrive(letters)])
  const went = answers.flat().filter(({ refused }) => refused === null)
  t.equal(went.length, letters.length)
  t.equal(new Set(went.map(({ id }) => id)).size, letters.length)
  t.ok(
    answers.flat().every(({ refused }) => refused === null || refused === 'NOT_DEAD'),
    'the others are told that somebody was quicker',
  )
  t.match(await rowOf(letters[7] as { id: string }), {
    status: 'queued',
    reason: null,
    attempt_no: 6,
    max_attempts: 9,
    tried: [],
    replays: 1,
    replayed_at: Date,
    due_at: Date,
  })
  t.ok((await redrive(letters)).every(({ refused }) => refused === 'NOT_DEAD'))
  const { due } = await worker.inTransaction((tx) =>
    claimDueDeliveries(tx, { lane: 'normal', limit: 100, againMs: 60_000 }),
  )
  t.equal(due.length, letters.length)
  t.ok(
    due.every(({ refused }) => refused),
    'the waker publishes their jobs at once, however long the queue is',
  )
  t.equal((await list({ workflow: 'once' })).length, 0)
  t.equal(MOST_REDRIVEN, 1000)
})

t.test('what must not be sent any more is refused with why, and stays as it is', async (t) => {
  const device = async (status: string, owner = ada) => {
    const id = randomUUID()
    await superuser.query({
      text: `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash, status) VALUES ('acme', $1, $2, 'fcm', '{}', $3, $4)`,
      values: [id, owner, Buffer.from(id), status],
    })
    return ['device', id] as const
  }
  await superuser.query({
    text: `INSERT INTO suppressions (tenant_id, kind, address, reason) VALUES ('acme', 'email', 'gone@example.com', 'bounced')`,
  })
  const failed = minute(50)
  const cases = [
    ['EXPIRED', await put({ failed, expires: minute(60) })],
    ['USER_GONE', await put({ failed, user: randomUUID() })],
    ['ADDRESS_GONE', await put({ failed, address: ['device', randomUUID()] })],
    ['ADDRESS_GONE', await put({ failed, address: await device('gone') })],
    ['ADDRESS_GONE', await put({ failed, address: await device('active', eve) })],
    ['SUPPRESSED', await put({ failed, address: ['email', 'Gone@Example.com'] })],
    ['MAYBE_SENT', await put({ failed, unknowns: 1 })],
    [null, await put({ failed, address: await device('active') })],
    ['UNKNOWN', { runId: randomUUID(), id: randomUUID() }],
  ] as const
  const answers = await redrive(cases.map(([, key]) => key))
  t.same(
    answers.map(({ refused }) => refused),
    cases.map(([refused]) => refused),
  )
  for (const [refused, key] of cases)
    if (refused !== null && refused !== 'UNKNOWN') t.match(await rowOf(key), { status: 'failed', replays: 0 })
  t.match(await redrive([cases[6][1]], { even: true }), [{ refused: null }], 'unless that is wanted')
})

t.test('what was sent again moves on as if it had never failed, and its second failure counts', async (t) => {
  const key = await put({ failed: minute(70), workflow: 'again' })
  const told = (status: TenantReceipt['status'], at = Date.now()): TenantReceipt => ({
    tenant: 'acme',
    runId: key.runId,
    deliveryId: key.id,
    userId: ada,
    channel: 'email',
    status,
    at,
    by: 'provider',
    detail: `${status} ${at}`,
  })
  const hear = (receipt: TenantReceipt) =>
    worker.inTransaction(async (tx) => (await insertReceipts(tx, [receipt])).length)
  const news = (status: 'delivered' | 'failed' | null) => ({
    runId: key.runId,
    id: key.id,
    status,
    reason: null,
    detail: null,
    deliveredAtMs: null,
    openedAtMs: null,
    clickedAtMs: null,
  })
  const moves = (status: 'delivered' | 'failed' | null) =>
    worker.inTransaction((tx) => applyDeliveryNews(tx, [news(status)]))
  const before = await rowOf(key)
  const first = told('bounced')
  t.equal(await hear(first), 1)
  t.equal(await hear(told('bounced')), 0, 'a repeated failure is one')
  await moves(null)
  t.same((await rowOf(key))?.updated_at, before?.updated_at, 'its receipt does not move the time it failed')
  await redrive([key])
  t.equal(await hear(first), 0, 'the failure of before comes again: it is no new one')
  await superuser.query({
    text: `UPDATE deliveries SET status = 'sent', sent_at = now() WHERE id = $1`,
    values: [key.id],
  })
  const second = told('bounced', Date.now() + 10)
  t.equal(await hear(second), 1, 'what failed again failed anew')
  t.match(await moves('failed'), [{ status: 'failed' }])
  t.match(await moves('delivered'), [{ status: 'delivered' }], 'and proof of arrival stands above')
  const [record] = await request.inTenant('acme', (tx) =>
    deliveriesOf(tx, { tenant: 'acme', ids: [key.runId] }),
  )
  t.match(record, { replays: 1, replayedAt: Date, unknowns: 0, status: 'delivered' })
})

t.test(
  'a last attempt that was lost passes to another account of the same app, else it was the last',
  async (t) => {
    const account = async (kind: string, app: string, name: string, position: number) => {
      const { rows } = await superuser.query<{ id: string }>({
        text: `INSERT INTO providers (tenant_id, channel, kind, app, name, position, credentials)
        VALUES ('acme', CASE $1 WHEN 'smtp' THEN 'email' ELSE 'push' END, $1, $2, $3, $4, '') RETURNING id`,
        values: [kind, app, name, position],
      })
      return rows[0]?.id ?? ''
    }
    const mails = [await account('smtp', 'default', 'a', 0), await account('smtp', 'default', 'b', 1)]
    const everyApp = [await account('fcm', 'default', 'a', 0), await account('fcm', 'default', 'b', 1)]
    await account('fcm', 'driver', 'own', 0)
    const phone = async (app: string) => {
      const id = randomUUID()
      await superuser.query({
        text: `INSERT INTO devices (tenant_id, id, user_id, kind, app, address, address_hash) VALUES ('acme', $1, $2, 'fcm', $3, '{}', $4)`,
        values: [id, ada, app, Buffer.from(id)],
      })
      return ['device', id] as const
    }
    const cases = [
      { what: 'the first in order', address: undefined, tried: [], account: null, lost: mails[0] },
      { what: 'the one asked before', address: undefined, tried: [], account: mails[1], lost: mails[1] },
      { what: 'the only one left', address: undefined, tried: [mails[0]], account: mails[0], lost: null },
      { what: 'all apps share', address: await phone('rider'), tried: [], account: null, lost: everyApp[0] },
      { what: "the app's only one", address: await phone('driver'), tried: [], account: null, lost: null },
      {
        what: 'nobody knows the device',
        address: ['device', randomUUID()] as const,
        tried: [],
        account: null,
        lost: null,
      },
    ]
    for (const { what, address, tried, account: before, lost } of cases) {
      const letter = { failed: minute(80), status: 'sending', attempts: 2, workflow: 'lost' }
      const key = await put(address === undefined ? letter : { ...letter, address, channel: 'push' })
      await superuser.query({
        text: 'UPDATE deliveries SET tried = $2, account = $3, due_at = now() WHERE id = $1',
        values: [key.id, tried, before],
      })
      const [claimed] = await worker.inTransaction((tx) => claimDeliveries(tx, [key], { leaseMs: 60_000 }))
      if (lost === null)
        t.match(claimed, { status: 'failed', reason: 'PROVIDER_UNAVAILABLE', unknowns: 1 }, what)
      else {
        const goesOn = { status: 'sending', attempt: 3, maxAttempts: 5, attemptsEach: 3, unknowns: 1 }
        t.match(claimed, { ...goesOn, tried: [...tried, lost] }, what)
      }
    }
  },
)

t.test('who is deleted takes along what waits for them, and nothing of anybody else', async (t) => {
  const bob = randomUUID()
  await superuser.query({
    text: `INSERT INTO users (tenant_id, id, external_id) VALUES ('acme', $1, 'bob'), ('globex', $1, 'bob')`,
    values: [bob],
  })
  const whose = { failed: minute(90), user: bob, workflow: 'forgotten' }
  const waiting = [
    await put({ ...whose, status: 'queued' }),
    await put({ ...whose, status: 'retrying', channel: 'sms', address: ['phone', '+4366012345'] }),
  ]
  const others = [
    await put({ ...whose, status: 'queued', user: eve }),
    await put({ ...whose, status: 'queued', tenant: 'globex' }),
  ]
  const sending = await put({ ...whose, status: 'sending' })
  await superuser.query({
    text: `UPDATE deliveries SET due_at = now() WHERE status IN ('queued', 'retrying', 'sending')`,
  })
  t.equal(await request.inTenant('acme', (tx) => deleteUser(tx, { tenant: 'acme', id: bob })), true)
  for (const key of waiting)
    t.match(await rowOf(key), { status: 'withdrawn', reason: 'NO_RECIPIENT', address: /^$/, due_at: null })
  for (const key of others) t.match(await rowOf(key), { status: 'queued', address: 'ada@example.com' })
  t.match(await rowOf(sending), { status: 'sending', address: 'ada@example.com' }, 'what is under way is')
  const late = await put({ ...whose, status: 'queued' })
  const claimed = await worker.inTransaction((tx) =>
    claimDeliveries(tx, [sending, late], { leaseMs: 60_000 }),
  )
  t.equal(claimed.length, 2)
  for (const row of claimed) t.match(row, { status: 'withdrawn', reason: 'NO_RECIPIENT', address: /^$/ })
  t.match(await rowOf(sending), { detail: 'the person was deleted', unknowns: 1, due_at: null })
  t.equal(await request.inTenant('acme', (tx) => deleteUser(tx, { tenant: 'acme', id: bob })), false)
})

t.test('a page costs a handful of buffers among many deliveries', async (t) => {
  await superuser.query({
    text: `WITH made AS (SELECT (left(lowest_id_at(now())::text, 14) || '8' || substr(gen_random_uuid()::text, 16))::uuid AS id, n
        FROM generate_series(1, 60000) AS n), run AS (
        INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, in_inbox, created_at)
        SELECT id, 'acme', id, 'many', 1, $1, 'ada', 'normal', 'completed', '[]', false, now() FROM made)
      INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, status, created_at, updated_at)
      SELECT id, gen_random_uuid(), 'acme', $1, 'email', 'normal', 1, 'email', 'a@x', CASE WHEN n % 4 = 0 THEN 'failed' ELSE 'sent' END,
        now(), now() - n * interval '1 ms' FROM made`,
    values: [ada],
  })
  await superuser.query({ text: 'ANALYZE deliveries, runs' })
  const statement = deadLettersStatement({
    tenant: 'acme',
    filter: { channel: 'email', from: minute(0) },
    limit: 50,
  })
  const { rows } = await request.inTenant('acme', (tx) =>
    tx.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
      ...statement,
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`,
    }),
  )
  const plan = rows[0]?.['QUERY PLAN'][0].Plan ?? {}
  const buffers = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)
  t.comment(`${buffers} buffers`)
  t.ok(buffers < 1000, `${buffers} buffers`)
})
