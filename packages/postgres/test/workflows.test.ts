import type { WorkflowDefinition } from '@carillon/contracts'
import t from 'tap'
import {
  dropShadow,
  findWorkflow,
  listWorkflows,
  listWorkflowVersions,
  publishVersion,
  putWorkflow,
  retireWorkflow,
  setShadow,
  type Tx,
  workflowsInForce,
} from '../src/index.js'
import { startMigrated } from './postgres-server.js'

const { superuser, request } = await startMigrated(t)
const tenant = 'acme'
const within = <T>(work: (tx: Tx) => Promise<T>) => request.inTenant(tenant, work)

const saying = (key: string, title: string): WorkflowDefinition => ({
  key,
  on: 'a.b',
  to: 'data.who',
  content: { title },
  steps: ['inbox'],
})
const put = (key: string, title: string, as: 'published' | 'draft' | 'shadow' = 'published') =>
  within((tx) => putWorkflow(tx, { tenant, definition: saying(key, title), as, awaits: [] }))
const publish = (key: string, version: number, expect?: number) =>
  within((tx) => publishVersion(tx, { tenant, key, version, awaits: [], expect }))
const statuses = async (key: string) =>
  Object.fromEntries(
    (await within((tx) => listWorkflowVersions(tx, { tenant, key }))).map((row) => [row.version, row.status]),
  )
const epoch = async () =>
  (
    await superuser.query<{ epoch: string }>({
      text: 'SELECT epoch::text FROM tenants WHERE id = $1',
      values: [tenant],
    })
  ).rows[0]?.epoch
const now = async () =>
  (await superuser.query<{ at: Date }>({ text: 'SELECT clock_timestamp() AS at' })).rows[0]?.at as Date
/** Rows keep microseconds and dates milliseconds: a moment that lies surely between two changes. */
const between = async () => {
  await superuser.query({ text: 'SELECT pg_sleep(0.002)' })
  const at = await now()
  await superuser.query({ text: 'SELECT pg_sleep(0.002)' })
  return at
}

t.test('a draft is out of force, one for each key, and is published under its own number', async (t) => {
  t.same(await put('one', 'a'), { version: 1, changed: true, previous: null })
  const before = await epoch()
  t.same(await put('one', 'b', 'draft'), { version: 2, changed: true, previous: 1 })
  t.same(await put('one', 'c', 'draft'), { version: 3, changed: true, previous: 1 })
  t.same(await put('one', 'c', 'draft'), { version: 3, changed: false, previous: 1 })
  t.equal(await epoch(), before, 'no dispatcher is told of drafts')
  t.same(await statuses('one'), { 1: 'published', 2: 'retired', 3: 'draft' })
  t.same(
    await put('one', 'a'),
    { version: 1, changed: false, previous: 1 },
    'a draft beside it changes nothing',
  )
  t.match(await within((tx) => findWorkflow(tx, { tenant, key: 'one', version: 'draft' })), {
    version: 3,
    definition: saying('one', 'c'),
  })
  t.same(await put('one', 'c'), { version: 3, changed: true, previous: 1 })
  t.not(await epoch(), before)
  t.same(await statuses('one'), { 1: 'retired', 2: 'retired', 3: 'published' })
  t.same(await put('one', 'c', 'draft'), { version: 3, changed: false, previous: 3 })
})

t.test('any earlier version can be in force again, and every stretch of it is known', async (t) => {
  await put('two', 'a')
  const first = await between()
  await put('two', 'b')
  const second = await between()
  t.same(await publish('two', 1), { version: 1, changed: true, previous: 2 })
  const third = await between()
  t.same(await publish('two', 1), { version: 1, changed: false, previous: 1 })
  t.equal(await publish('two', 9), undefined)
  t.equal(await within((tx) => retireWorkflow(tx, { tenant, key: 'two' })), true)
  const fourth = await between()
  t.equal(await within((tx) => retireWorkflow(tx, { tenant, key: 'two' })), false)
  const at = async (moment: Date) =>
    (await within((tx) => workflowsInForce(tx, { tenant, at: moment })))
      .filter(({ key }) => key === 'two')
      .map(({ version, definition }) => [version, definition.content?.title])
  t.same(await at(first), [[1, 'a']])
  t.same(await at(second), [[2, 'b']])
  t.same(await at(third), [[1, 'a']])
  t.same(await at(fourth), [])
  const versions = await within((tx) => listWorkflowVersions(tx, { tenant, key: 'two' }))
  t.match(versions, [{ version: 2 }, { version: 1, publications: [{}, {}] }])
  t.ok(versions.every(({ publications }) => publications.every(({ to }) => to instanceof Date)))
  t.same(
    await put('two', 'b'),
    { version: 3, changed: true, previous: null },
    'a retired one is published anew',
  )
})

t.test(
  'of those who publish at once, who expected another version is told and changes nothing',
  async (t) => {
    await put('three', 'a')
    const change = (title: string) =>
      within((tx) => putWorkflow(tx, { tenant, definition: saying('three', title), awaits: [], expect: 1 }))
    const done = await Promise.allSettled(['b', 'c', 'd', 'e'].map(change))
    t.equal(done.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const each of done)
      if (each.status === 'rejected') t.match(each.reason, { code: 'WORKFLOW_MOVED', published: 2 })
    await t.rejects(publish('three', 1, 0), { code: 'WORKFLOW_MOVED' })
    t.same(await statuses('three'), { 1: 'retired', 2: 'published' })
  },
)

t.test('publications of one key never overlap, however many publish at once', async (t) => {
  await Promise.all(Array.from({ length: 20 }, (_, n) => put('four', `title ${n}`)))
  const { rows } = await superuser.query<{ overlaps: number; open: number; all: number }>({
    text: `SELECT count(*) FILTER (WHERE retired_at IS DISTINCT FROM next)::int AS overlaps,
        count(*) FILTER (WHERE retired_at IS NULL)::int AS open, count(*)::int AS all
      FROM (SELECT retired_at, lead(published_at) OVER (ORDER BY published_at) AS next
        FROM publications WHERE tenant_id = $1 AND key = 'four') AS p`,
    values: [tenant],
  })
  t.same(rows, [{ overlaps: 0, open: 1, all: 20 }])
})

t.test(
  'a shadow stands beside what is published, is one for each key, and can be dropped or published',
  async (t) => {
    await put('five', 'a')
    const before = await epoch()
    t.same(await put('five', 'b', 'shadow'), { version: 2, changed: true, previous: 1 })
    t.not(await epoch(), before, 'dispatchers are told')
    t.same(await put('five', 'b', 'shadow'), { version: 2, changed: false, previous: 1 })
    await put('five', 'c', 'draft')
    const shadow = (version: number) => within((tx) => setShadow(tx, { tenant, key: 'five', version }))
    t.equal(await shadow(3), true)
    t.same(await statuses('five'), { 1: 'published', 2: 'retired', 3: 'shadow' })
    t.equal(await shadow(1), false, 'the published one is no shadow of itself')
    t.equal(await shadow(7), false)
    t.match(await within((tx) => listWorkflows(tx, tenant, 'shadow')), [{ key: 'five', version: 3 }])
    const drop = () => within((tx) => dropShadow(tx, { tenant, key: 'five' }))
    t.equal(await drop(), true)
    t.equal(await drop(), false)
    t.same(await publish('five', 3), { version: 3, changed: true, previous: 1 })
    await put('five', 'd', 'shadow')
    await within((tx) => retireWorkflow(tx, { tenant, key: 'five' }))
    t.same(await statuses('five'), { 1: 'retired', 2: 'retired', 3: 'retired', 4: 'retired' })
  },
)

t.test('what a published version waits for is kept from then on, and once', async (t) => {
  const awaits = [
    { type: 'c.d', expression: 'data.id' },
    { type: 'a.b', expression: 'data.id' },
  ]
  const awaited = async () =>
    (await superuser.query({ text: 'SELECT type, expression FROM awaited ORDER BY type' })).rows
  const definition = saying('six', 'a')
  await within((tx) => putWorkflow(tx, { tenant, definition, as: 'draft', awaits }))
  t.same(await awaited(), [])
  await within((tx) => publishVersion(tx, { tenant, key: 'six', version: 1, awaits }))
  t.same(await awaited(), [awaits[1], awaits[0]])
  await within((tx) => putWorkflow(tx, { tenant, definition: saying('six', 'b'), awaits }))
  t.equal((await awaited()).length, 2)
})
