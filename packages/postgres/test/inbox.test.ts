import { randomUUID } from 'node:crypto'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import {
  deleteUser,
  INBOX_FILTERS,
  inboxPage,
  inboxPageStatement,
  inboxView,
  maintain,
  markInbox,
  type Queryable,
  removeFromInbox,
  returnSnoozed,
  returnSnoozedStatement,
  type Statement,
  snoozeInbox,
  unreadCount,
  unreadCountStatement,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const { superuser, request, worker } = await startMigrated(t)
const USERS = 1_000
const userOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const userId = userOf(7)
const tenant = 'acme'

// A million notifications of 1,000 people over the last 120 days; every third read, every tenth archived, and of the
// rest one in twenty put off and one in thirty removed.
await superuser.query({ text: `SELECT ensure_partitions(1, now() - interval '120 days')` })
// indexes are built at the end: a row at a time they take most of the time of this file
const { rows: indexes } = await superuser.query<{ name: string; made: string }>({
  text: `SELECT indexname AS name, replace(indexdef, ' ON ONLY ', ' ON ') AS made FROM pg_indexes
    WHERE tablename = 'runs' AND indexname <> 'runs_pkey'`,
})
for (const { name } of indexes) await superuser.query({ text: `DROP INDEX ${name}` })
const QUARTER = 250_000
for (let first = 0; first < 4 * QUARTER; first += QUARTER) {
  await superuser.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state,
        plan, content, in_inbox, created_at, read_at, archived_at, snoozed_until, removed_at)
      SELECT (left(lowest_id_at(m)::text, 14) || '8' || substr(gen_random_uuid()::text, 16))::uuid, 'acme',
        gen_random_uuid(), 'welcome', 1, ('00000000-0000-4000-8000-' || lpad((n % ${USERS})::text, 12, '0'))::uuid,
        'x', 'normal', 'completed', '[]', '{"inbox":{"title":"Hello"}}', true, m,
        CASE WHEN n / ${USERS} % 3 = 0 THEN m END, CASE WHEN n / ${USERS} % 10 = 0 THEN m END,
        CASE WHEN n / ${USERS} % 20 = 1 THEN now() + interval '1 year' END, CASE WHEN n / ${USERS} % 30 = 2 THEN m END
      FROM (SELECT n, now() - interval '120 days' * n / 1000000 AS m FROM generate_series($1::int, $2) AS n) AS made`,
    values: [first, first + QUARTER - 1],
  })
}
for (const { made } of indexes) await superuser.query({ text: made })
await superuser.query({ text: 'VACUUM (ANALYZE) runs' })

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Loops': number
  readonly 'Actual Rows': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

// a partition that is still empty is scanned for nothing, which is fine
const scansTable = (node: Plan): boolean =>
  node['Node Type'] === 'Seq Scan' && node['Shared Hit Blocks'] + node['Shared Read Blocks'] > 0

const explain = async (statement: Statement, as = request): Promise<{ buffers: number; nodes: Plan[] }> => {
  const asked = { ...statement, text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}` }
  const ask = (tx: Queryable) => tx.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(asked)
  const { rows } = await (as === request ? as.inTenant(tenant, ask) : as.inTransaction(ask))
  const plan = rows[0]?.['QUERY PLAN'][0].Plan
  if (plan === undefined) throw new Error('no plan')
  return { buffers: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], nodes: nodesOf(plan) }
}

t.test('a page of the inbox costs a handful of buffers among a million rows', async (t) => {
  for (const filter of INBOX_FILTERS) {
    const { buffers, nodes } = await explain(inboxPageStatement({ tenant, userId, limit: 20, filter }))
    t.comment(`${filter}: ${buffers} buffers`)
    t.ok(buffers <= 60, `${filter}: ${buffers} buffers`)
    t.notOk(nodes.some(scansTable), 'scans no table')
    t.ok(
      nodes.some((node) => node['Relation Name']?.startsWith('runs_') && node['Actual Loops'] === 0),
      'leaves older partitions closed',
    )
  }
})

t.test('a later page costs the same', async (t) => {
  const first = await request.inTenant(tenant, (tx) =>
    inboxPage(tx, { tenant, userId, limit: 400, filter: 'all' }),
  )
  const before = first.at(-1)?.id ?? ''
  const { buffers } = await explain(inboxPageStatement({ tenant, userId, before, limit: 20, filter: 'all' }))
  t.comment(`${buffers} buffers`)
  t.ok(buffers <= 60, `${buffers} buffers`)
})

t.test('the unread count reads an index and no rows', async (t) => {
  const { buffers, nodes } = await explain(unreadCountStatement({ tenant, userId }))
  t.comment(`${buffers} buffers`)
  t.ok(buffers <= 60, `${buffers} buffers`)
  t.notOk(nodes.some(scansTable), 'scans no table')
  const unread = Array.from({ length: 1_000 }, (_, n) => n).filter(
    (n) => n % 3 !== 0 && n % 10 !== 0 && n % 20 !== 1 && n % 30 !== 2,
  )
  t.equal(await request.inTenant(tenant, (tx) => unreadCount(tx, { tenant, userId })), unread.length)
  t.equal(await request.inTenant(tenant, (tx) => unreadCount(tx, { tenant, userId, atMost: 99 })), 99)
})

t.test('roles of the version before find their lists through indexes while both run', async (t) => {
  const shown = 'in_inbox AND archived_at IS NULL'
  const lists = [shown, `${shown} AND read_at IS NULL`, 'in_inbox AND archived_at IS NOT NULL']
  for (const list of lists) {
    const { buffers, nodes } = await explain({
      text: `SELECT id, content FROM runs WHERE tenant_id = $1 AND user_id = $2 AND id < $3 AND ${list} ORDER BY id DESC LIMIT 20`,
      values: [tenant, userId, 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    })
    t.ok(buffers <= 60, `${list}: ${buffers} buffers`)
    t.notOk(nodes.some(scansTable), 'scans no table')
  }
})

t.test('what is due is found through an index, and looking for it costs next to nothing', async (t) => {
  await superuser.query({
    text: `UPDATE runs SET snoozed_until = now() WHERE user_id = $1 AND snoozed_until IS NOT NULL`,
    values: [userOf(13)],
  })
  const { buffers, nodes } = await explain(returnSnoozedStatement(500), worker)
  const returned = nodes.find((node) => node['Node Type'] === 'Update' || node['Node Type'] === 'ModifyTable')
  t.comment(`${buffers} buffers for the 50 of 50,000 that are due`)
  t.equal(returned?.['Actual Rows'], 50)
  t.notOk(nodes.some(scansTable), 'scans no table')
  const idle = await explain(returnSnoozedStatement(500), worker)
  t.comment(`${idle.buffers} buffers when nothing is due`)
  t.ok(idle.buffers <= 200, `${idle.buffers} buffers`)
})

t.test('pages follow one another without gap or repetition, newest first', async (t) => {
  const ids: string[] = []
  await request.inTenant(tenant, async (tx) => {
    for (let before: string | undefined; ; before = ids.at(-1)) {
      const page = await inboxPage(tx, {
        tenant,
        userId,
        limit: 130,
        filter: 'all',
        ...(before === undefined ? {} : { before }),
      })
      if (page.length === 0) break
      ids.push(...page.map((row) => row.id))
    }
  })
  t.equal(ids.length, 1_000 - 100 - 50 - 33 - 1)
  t.same(ids, [...new Set(ids)].sort().reverse())
})

t.test('a mark answers with what it changed and a repetition with nothing', async (t) => {
  const me = userOf(8)
  await request.inTenant(tenant, async (tx) => {
    const page = await inboxPage(tx, { tenant, userId: me, limit: 3, filter: 'unread' })
    const ids = page.map((row) => row.id)
    const atMs = Date.now()
    const mark = { tenant, userId: me, ids, mark: 'read', set: true, atMs } as const
    const before = await unreadCount(tx, { tenant, userId: me })
    t.same(await markInbox(tx, { ...mark, userId: userOf(9) }), [], "another person's ids change nothing")
    const changed = await markInbox(tx, mark)
    t.same(
      changed.map((row) => row.id),
      [...ids].sort(),
    )
    t.equal(changed[0]?.readAt?.getTime(), atMs)
    t.equal(changed[0]?.seenAt?.getTime(), atMs, 'read is seen too')
    t.same(changed[0]?.content, { title: 'Hello' })
    t.same(await markInbox(tx, mark), [])
    t.equal(await unreadCount(tx, { tenant, userId: me }), before - 3)
    t.equal((await markInbox(tx, { ...mark, set: false })).length, 3)
    t.equal(await unreadCount(tx, { tenant, userId: me }), before)
    t.equal((await markInbox(tx, { ...mark, ids: [randomUUID(), ids[0] ?? ''], mark: 'archived' })).length, 1)
    const archived = await inboxPage(tx, { tenant, userId: me, limit: 200, filter: 'archived' })
    const shown = await inboxPage(tx, { tenant, userId: me, limit: 1_000, filter: 'all' })
    t.ok(archived.some((row) => row.id === ids[0]))
    t.notOk(shown.some((row) => row.id === ids[0]))
    t.equal(archived.length, 101)
    const view = await inboxView(tx, { tenant, userId: me, limit: 1_000, filter: 'all' })
    t.same(view.rows, shown)
    t.equal(view.unread, shown.filter((row) => row.readAt === null).length)
    t.same(await inboxView(tx, { tenant, userId: randomUUID(), limit: 5, filter: 'all' }), {
      rows: [],
      unread: 0,
    })
  })
})

t.test('what is put off is in one list only, and comes back once, unread and unseen', async (t) => {
  const me = userOf(10)
  const whose = { tenant, userId: me, atMs: Date.now() }
  const idsOf = async (filter: (typeof INBOX_FILTERS)[number]) =>
    (await request.inTenant(tenant, (tx) => inboxPage(tx, { ...whose, limit: 1_000, filter }))).map(
      ({ id }) => id,
    )
  const [first = '', second = '', third = ''] = await idsOf('unread')
  const [stale = ''] = await idsOf('archived')
  const until = new Date(Date.now() + 60_000)
  const snooze = (ids: string[], to: Date | null) =>
    request.inTenant(tenant, (tx) => snoozeInbox(tx, { ...whose, ids, until: to }))
  const before = await request.inTenant(tenant, (tx) => unreadCount(tx, whose))

  const put = await snooze([first, second, third, stale], until)
  t.equal(put.length, 4)
  for (const row of put) {
    t.match(
      row,
      { snoozedUntil: until, seenAt: Date, archivedAt: null, revision: 1 },
      'it was seen, and left the archive',
    )
    for (const filter of ['all', 'unread', 'archived'] as const)
      t.notOk((await idsOf(filter)).includes(row.id))
    t.ok((await idsOf('snoozed')).includes(row.id))
  }
  t.equal(await request.inTenant(tenant, (tx) => unreadCount(tx, whose)), before - 3)
  t.same(await snooze([first], until), [], 'the same time again changes nothing')
  t.equal((await snooze([first], new Date(until.getTime() + 1))).length, 1, 'another time does')
  t.match(await snooze([second], null), [
    { id: second, snoozedUntil: null, readAt: null, seenAt: Date, revision: 2 },
  ])
  const archived = await request.inTenant(tenant, (tx) =>
    markInbox(tx, { ...whose, ids: [third], mark: 'archived', set: true }),
  )
  t.match(archived, [{ snoozedUntil: null, archivedAt: Date }], 'what is archived does not come back')

  const returned = () => worker.inTransaction((tx) => returnSnoozed(tx, 10))
  t.same(await returned(), [], 'not yet')
  await superuser.query({
    text: `UPDATE runs SET snoozed_until = now(), read_at = now() WHERE user_id = $1 AND id = ANY ($2)`,
    values: [me, [first, stale]],
  })
  const back = (await Promise.all([returned(), returned(), returned()])).flat()
  t.same(back.map(({ id }) => id).sort(), [first, stale].sort(), 'each once, whoever looks')
  for (const row of back) t.match(row, { tenant, userId: me, snoozedUntil: null, seenAt: null, readAt: null })
  t.ok((await idsOf('unread')).includes(first))
})

t.test('what is removed is in no list, stays in the history, and can not be changed any more', async (t) => {
  const me = userOf(11)
  const whose = { tenant, userId: me, atMs: Date.now() }
  await request.inTenant(tenant, async (tx) => {
    const [row] = await inboxPage(tx, { ...whose, limit: 1, filter: 'unread' })
    const ids = [row?.id ?? '']
    const before = await unreadCount(tx, whose)
    t.same(
      await removeFromInbox(tx, { ...whose, userId: userOf(12), ids }),
      [],
      "another person's id changes nothing",
    )
    t.match(await removeFromInbox(tx, { ...whose, ids }), [{ id: row?.id, seenAt: Date }])
    t.same(await removeFromInbox(tx, { ...whose, ids }), [])
    t.equal(await unreadCount(tx, whose), before - 1)
    for (const filter of INBOX_FILTERS) {
      t.notOk((await inboxPage(tx, { ...whose, limit: 1_000, filter })).some(({ id }) => id === row?.id))
    }
    t.same(await markInbox(tx, { ...whose, ids, mark: 'read', set: true }), [])
    t.same(await snoozeInbox(tx, { ...whose, ids, until: new Date(Date.now() + 60_000) }), [])
    t.equal((await tx.query({ text: 'SELECT FROM runs WHERE id = $1', values: ids })).rowCount, 1)
  })
})

t.test('what roles of the version before mark is newer, too, and counted once', async (t) => {
  const whose = { tenant, userId: userOf(16), atMs: Date.now() }
  await request.inTenant(tenant, async (tx) => {
    const [row] = await inboxPage(tx, { ...whose, limit: 1, filter: 'unread' })
    const ids = [row?.id ?? '']
    const marked = async (set: string) =>
      (
        await tx.query<{ revision: number }>({
          text: `UPDATE runs SET ${set} WHERE id = ANY ($1) RETURNING revision`,
          values: [ids],
        })
      ).rows[0]?.revision
    t.equal(await marked('read_at = now(), seen_at = now()'), 1)
    t.equal(await marked('read_at = now()'), 1, 'nothing new')
    t.match(await markInbox(tx, { ...whose, ids, mark: 'read', set: false }), [{ revision: 2 }])
    t.equal(await marked('archived_at = now()'), 3)
  })
})

t.test('what somebody put off who is deleted comes back no more and keeps nothing', async (t) => {
  const me = userOf(15)
  const putOff = async () =>
    (
      await superuser.query({
        text: 'SELECT FROM runs WHERE user_id = $1 AND snoozed_until IS NOT NULL',
        values: [me],
      })
    ).rowCount
  const before = await putOff()
  t.ok(before > 40)
  await request.inTenant('globex', (tx) => deleteUser(tx, { tenant: 'globex', id: me }))
  t.equal(await putOff(), before, "another tenant's user is another")
  await request.inTenant(tenant, (tx) => deleteUser(tx, { tenant, id: me }))
  t.equal(await putOff(), 0)
})

t.test('upkeep keeps what is put off, and what came back as long as a new one', async (t) => {
  const months = async () =>
    (
      await superuser.query<{ name: string }>({
        text: `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'runs'::regclass ORDER BY 1`,
      })
    ).rows.map(({ name }) => name)
  const [first = '', second = ''] = await months()
  await superuser.query({
    text: `UPDATE runs SET snoozed_until = NULL, returned_at = NULL WHERE snoozed_until IS NOT NULL OR returned_at IS NOT NULL`,
  })
  const mark = (month: string, set: string) =>
    superuser.query({
      text: `UPDATE ${month} SET ${set} WHERE id = (SELECT min(id::text)::uuid FROM ${month})`,
    })
  await mark(first, `snoozed_until = now() + interval '1 hour'`)
  await mark(second, `returned_at = now() - interval '29 days'`)
  await maintain(worker, { daysAhead: 14, retainDays: 30 })
  t.same((await months()).slice(0, 2), [first, second])
  await superuser.query({ text: `UPDATE ${first} SET snoozed_until = NULL WHERE snoozed_until IS NOT NULL` })
  await superuser.query({
    text: `UPDATE ${second} SET returned_at = now() - interval '31 days' WHERE returned_at IS NOT NULL`,
  })
  // a partition that somebody uses, such as autovacuum, is left for the next round
  await eventually(async () => {
    await maintain(worker, { daysAhead: 14, retainDays: 30 })
    return !(await months()).some((name) => name === first || name === second)
  })
})
