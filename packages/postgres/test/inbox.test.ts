import { randomUUID } from 'node:crypto'
import t from 'tap'
import {
  type InboxFilter,
  inboxPage,
  inboxPageStatement,
  markInbox,
  type Statement,
  unreadCount,
  unreadCountStatement,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const { superuser, request } = await startMigrated(t)
const USERS = 1_000
const userOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const userId = userOf(7)
const tenant = 'acme'

// A million notifications of 1,000 people over the last four months; every third read, every tenth archived.
await superuser.query({ text: `SELECT ensure_partitions(1, now() - interval '4 months')` })
const QUARTER = 250_000
for (let first = 0; first < 4 * QUARTER; first += QUARTER) {
  await superuser.query({
    text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state,
        plan, content, in_inbox, created_at, read_at, archived_at)
      SELECT (left(lowest_id_at(m)::text, 14) || '8' || substr(gen_random_uuid()::text, 16))::uuid, 'acme',
        gen_random_uuid(), 'welcome', 1, ('00000000-0000-4000-8000-' || lpad((n % ${USERS})::text, 12, '0'))::uuid,
        'x', 'normal', 'completed', '[]', '{"inbox":{"title":"Hello"}}', true, m,
        CASE WHEN n / ${USERS} % 3 = 0 THEN m END, CASE WHEN n / ${USERS} % 10 = 0 THEN m END
      FROM (SELECT n, now() - interval '120 days' * n / 1000000 AS m FROM generate_series($1::int, $2) AS n) AS made`,
    values: [first, first + QUARTER - 1],
  })
}
await superuser.query({ text: 'VACUUM (ANALYZE) runs' })

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Loops': number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly Plan[]
}

const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

// a partition that is still empty is scanned for nothing, which is fine
const scansTable = (node: Plan): boolean =>
  node['Node Type'] === 'Seq Scan' && node['Shared Hit Blocks'] + node['Shared Read Blocks'] > 0

const explain = async (statement: Statement): Promise<{ buffers: number; nodes: Plan[] }> => {
  const { rows } = await request.inTenant(tenant, (tx) =>
    tx.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>({
      ...statement,
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`,
    }),
  )
  const plan = rows[0]?.['QUERY PLAN'][0].Plan
  if (plan === undefined) throw new Error('no plan')
  return { buffers: plan['Shared Hit Blocks'] + plan['Shared Read Blocks'], nodes: nodesOf(plan) }
}

t.test('a page of the inbox costs a handful of buffers among a million rows', async (t) => {
  for (const filter of ['all', 'unread', 'archived'] satisfies InboxFilter[]) {
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
  // 1,000 of theirs; 600 neither read (two of three) nor archived (nine of ten)
  t.equal(await request.inTenant(tenant, (tx) => unreadCount(tx, { tenant, userId })), 600)
  t.equal(await request.inTenant(tenant, (tx) => unreadCount(tx, { tenant, userId, atMost: 99 })), 99)
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
  t.equal(ids.length, 900)
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
    t.equal(archived.length + shown.length, 1_000)
  })
})
