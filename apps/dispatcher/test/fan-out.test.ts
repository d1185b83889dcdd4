import { readFile } from 'node:fs/promises'
import { userId } from '@carillon/contracts'
import { applyTopology, backlogOf, loadTopology, streamState } from '@carillon/jetstream'
import { sha256 } from '@carillon/service'
import { eventually, useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { type Mesh, TENANT, useMesh } from './support.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname

type Scope = Parameters<typeof useNodeProcess>[0]
type Assertions = Pick<typeof t, 'equal' | 'same'>

interface Person {
  name: string
  topics?: string[]
  roles?: string[]
  attributes?: Record<string, unknown>
  status?: 'active' | 'suspended'
}

const people = (prefix: string, count: number, rest: Omit<Person, 'name'> = {}): Person[] =>
  Array.from({ length: count }, (_, index) => ({ name: `${prefix}${index}`, ...rest }))

async function putPeople(mesh: Mesh, list: readonly Person[]): Promise<void> {
  const rows = list.map(({ name, roles = [], attributes = {}, status = 'active' }) => {
    return { id: userId(sha256, TENANT, name), name, roles, attributes, status }
  })
  await mesh.rows(
    `INSERT INTO users (tenant_id, id, external_id, roles, attributes, status)
     SELECT $1, id, name, roles, attributes, status
     FROM jsonb_to_recordset($2) AS r (id uuid, name text, roles text[], attributes jsonb, status text)`,
    [TENANT, JSON.stringify(rows)],
  )
  const subscriptions = list.flatMap(({ name, topics = [] }) =>
    topics.map((topic) => ({ topic, id: userId(sha256, TENANT, name) })),
  )
  await mesh.rows(
    `INSERT INTO subscriptions (tenant_id, topic, user_id) SELECT $1, topic, id
     FROM jsonb_to_recordset($2) AS r (topic text, id uuid)`,
    [TENANT, JSON.stringify(subscriptions)],
  )
  await mesh.rows('ANALYZE users, subscriptions')
}

const workflow = (more: Record<string, unknown> = {}) => ({
  key: 'news',
  on: 'a.b.v1',
  to: 'data.to',
  content: { title: 'News', body: '{{ data.text | default: "x" }}' },
  steps: ['inbox'],
  ...more,
})

/** Resolves once the fan-outs of all events are finished. */
const finished = (mesh: Mesh, count: number, timeoutMs = 30_000) =>
  eventually(
    async () => {
      const rows = await mesh.rows<{ n: number }>(
        'SELECT count(*)::int AS n FROM fanouts WHERE finished_at IS NOT NULL AND due_at IS NULL',
      )
      return rows[0]?.n === count
    },
    { timeoutMs },
  )

/** Recipients of an event, by name. */
async function told(mesh: Mesh, event: string): Promise<string[]> {
  const rows = await mesh.rows<{ recipient: string }>(
    'SELECT r.recipient FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = $1 ORDER BY r.recipient',
    [event],
  )
  return rows.map((row) => row.recipient)
}

const names = (list: readonly Person[]) => list.map(({ name }) => name).sort()

async function outcome(mesh: Mesh, event: string): Promise<unknown> {
  return (await mesh.rows<{ outcome: unknown }>('SELECT outcome FROM events WHERE event_id = $1', [event]))[0]
    ?.outcome
}

async function adjustFanoutStream(mesh: Mesh, setting: string): Promise<void> {
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  const overlay = `defaults: { consumer: { ack_wait: 1s } }\nstreams:\n  JOBS_FANOUT: { ${setting} }\n`
  await applyTopology(
    mesh.connection,
    loadTopology(await file('topology.yaml'), [await file('environments/single.yaml'), overlay]),
  )
}

t.test('an audience over the limit is told in chunks', async (t) => {
  const mesh = await useMesh(t)
  const vienna = people('vienna', 1_900, { topics: ['city.vienna'], attributes: { tier: 1 } })
  const gold = people('gold', 700, { topics: ['city.vienna.first', 'city'], attributes: { tier: 2 } })
  const graz = people('graz', 30, { topics: ['city.graz'] })
  const both = people('both', 50, { topics: ['city.vienna'], roles: ['driver'] })
  const drivers = people('driver', 60, { roles: ['driver'] })
  const suspended = people('gone', 20, { topics: ['city.vienna'], roles: ['driver'], status: 'suspended' })
  await putPeople(mesh, [...vienna, ...gold, ...graz, ...both, ...drivers, ...suspended])
  await mesh.putWorkflow(workflow({ exclude: 'data.actor' }))
  await mesh.putWorkflow({
    ...workflow(),
    key: 'gold',
    on: 'gold.v1',
    to: { segment: 'user.attributes.tier > 1 && data.open' },
  })
  await mesh.putWorkflow({ ...workflow(), key: 'all', on: 'all.v1', to: { everyone: true } })
  await mesh.startDispatcher()
  let fanouts = 0

  await t.test('by topic and role, each person once, the actor and the suspended left out', async (t) => {
    const to = [{ topic: 'city.vienna' }, { role: 'driver' }, 'vienna7', 'graz3']
    await mesh.publish({ type: 'a.b.v1', id: 'topic', data: { to, actor: 'both3' } })
    await finished(mesh, ++fanouts)
    const expected = [...vienna, ...gold, ...both, ...drivers, { name: 'graz3' }].filter(
      ({ name }) => name !== 'both3',
    )
    t.same(await told(mesh, 'topic'), names(expected))
    t.match(await outcome(mesh, 'topic'), [
      { workflow: 'news', matched: true, fanout: { chunks: Number, estimated: Number } },
    ])
    const ada = userId(sha256, TENANT, 'both4')
    t.equal((await mesh.frames(ada)).length, 1)
  })
  await t.test('a whole topic reaches its parts, and a part what it belongs to', async (t) => {
    await mesh.publish({ type: 'a.b.v1', id: 'whole', data: { to: { topic: 'city' } } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'whole'), names([...vienna, ...gold, ...graz, ...both]))
    // gold hears the whole city, and so its part
    await mesh.publish({ type: 'a.b.v1', id: 'graz', data: { to: { topic: 'city.graz' } } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'graz'), names([...graz, ...gold]))
  })
  await t.test('by segment, judged with the event and the person', async (t) => {
    await mesh.publish({ type: 'gold.v1', id: 'closed', data: { open: false } })
    await mesh.publish({ type: 'gold.v1', id: 'open', data: { open: true } })
    fanouts += 2
    await finished(mesh, fanouts)
    t.same(await told(mesh, 'open'), names(gold))
    t.same(await told(mesh, 'closed'), [])
  })
  await t.test('everyone', async (t) => {
    await mesh.publish({ type: 'all.v1', id: 'all' })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'all'), names([...vienna, ...gold, ...graz, ...both, ...drivers]))
  })
  await t.test('a list in the payload, with people nobody knew', async (t) => {
    const to = Array.from({ length: 1_200 }, (_, index) => ({
      id: `new${index}`,
      email: `new${index}@example.com`,
    }))
    await mesh.publish({ type: 'a.b.v1', id: 'list', data: { to: [...to, 'new5', 'vienna1'] } })
    await finished(mesh, ++fanouts)
    t.same(await told(mesh, 'list'), [...to.map(({ id }) => id), 'vienna1'].sort())
    t.match(await mesh.rows(`SELECT count(*)::int AS n FROM users WHERE email LIKE 'new%'`), [{ n: 1_200 }])
  })
  await t.test('a small audience is told with its event', async (t) => {
    await mesh.publish({
      type: 'a.b.v1',
      id: 'few',
      data: { to: [{ role: 'driver' }, { topic: 'nothing' }] },
    })
    await eventually(async () => (await told(mesh, 'few')).length > 0)
    t.same(await told(mesh, 'few'), names([...both, ...drivers]))
    t.match(await outcome(mesh, 'few'), [{ workflow: 'news', matched: true, recipients: 110 }])
    t.match(await mesh.rows('SELECT count(*)::int AS n FROM fanouts'), [{ n: fanouts }])
  })
  await t.test('each chunk says how many it told, and together they told everybody once', async (t) => {
    const rows = await mesh.rows<{ runs: number; told: number; chunks: number; done: number }>(
      `SELECT f.chunks, count(*)::int AS done, sum(c.runs)::int AS runs,
         (SELECT count(*)::int FROM runs r WHERE r.event_id = f.event_id AND r.workflow_key = f.workflow_key) AS told
       FROM fanouts f JOIN fanout_chunks c USING (event_id, workflow_key) GROUP BY f.event_id, f.workflow_key`,
    )
    t.equal(rows.length, fanouts)
    for (const row of rows) {
      t.equal(row.done, row.chunks)
      t.equal(row.runs, row.told)
    }
  })
})

function startProcess(t: Scope, mesh: Mesh, env: Record<string, string> = {}) {
  return useNodeProcess(t, {
    script: MAIN,
    ready: /process\.started/,
    env: {
      NATS_URL: mesh.natsUrl,
      DATABASE_WORKER_URL: mesh.workerUrl,
      CARILLON_ENVIRONMENT: 'development',
      CARILLON_WAKE_EVERY_MS: '50',
      CARILLON_RESPOOL_AFTER_MS: '1000',
      ...env,
    },
  })
}

async function meshWithSubscribers(t: Scope, count: number): Promise<Mesh> {
  const mesh = await useMesh(
    t,
    'defaults: { consumer: { ack_wait: 1s } }\nstreams: { JOBS_FANOUT: { consumers: { fanout-normal: { filter_subject: "job.fanout.normal.*", ack_wait: 1s, max_ack_pending: 64 } } } }',
  )
  await putPeople(mesh, people('p', count, { topics: ['news'] }))
  await mesh.rows(
    `INSERT INTO devices (tenant_id, id, user_id, kind, app, address, address_hash)
     SELECT tenant_id, gen_random_uuid(), id, 'fcm', 'default', '{"token":"t"}', uuid_send(id) FROM users`,
  )
  await mesh.putWorkflow(workflow({ steps: ['inbox', 'push'] }))
  return mesh
}

/** Everybody has one run, one delivery, at least one job for it, and one frame. */
async function toldOnce(t: Assertions, mesh: Mesh, count: number): Promise<void> {
  t.equal(new Set(await told(mesh, 'news')).size, count, 'everybody is told')
  t.equal((await told(mesh, 'news')).length, count, 'nobody twice')
  const deliveries = await mesh.rows<{ id: string }>('SELECT id FROM deliveries')
  t.equal(deliveries.length, count)
  const ids = await eventually(async () => {
    const jobs = new Set((await mesh.jobs('push')).map((job) => job.deliveryId))
    return jobs.size === count ? jobs : undefined
  })
  t.same([...ids].sort(), deliveries.map(({ id }) => id).sort(), 'every delivery has its job')
  const { messages } = await streamState(mesh.connection, 'LIVE')
  t.equal(messages, count, 'one frame for each')
}

for (const place of [
  'dispatcher.after-commit:1',
  'dispatcher.after-chunk:2',
  'dispatcher.after-chunk-publish:3',
]) {
  t.test(`killed at ${place} beside another dispatcher, everybody is told exactly once`, async (t) => {
    const mesh = await meshWithSubscribers(t, 2_300)
    const doomed = await startProcess(t, mesh, { CARILLON_FAILPOINT: place })
    await mesh.publish({ type: 'a.b.v1', id: 'news', data: { to: { topic: 'news' } } })
    t.match(await doomed.exited, { signal: 'SIGKILL' })
    await Promise.all([startProcess(t, mesh), startProcess(t, mesh)])
    await finished(mesh, 1)
    await toldOnce(t, mesh, 2_300)
  })
}

t.test('chunks that are gone from the queue are brought again', async (t) => {
  const mesh = await meshWithSubscribers(t, 2_300)
  const doomed = await startProcess(t, mesh, { CARILLON_FAILPOINT: 'dispatcher.after-chunk:2' })
  await mesh.publish({ type: 'a.b.v1', id: 'news', data: { to: { topic: 'news' } } })
  t.match(await doomed.exited, { signal: 'SIGKILL' })
  await adjustFanoutStream(mesh, 'max_age: 100ms, duplicate_window: 100ms')
  await eventually(async () => (await streamState(mesh.connection, 'JOBS_FANOUT')).messages === 0)
  await adjustFanoutStream(mesh, 'max_age: 48h, duplicate_window: 2m')
  const done = await mesh.rows<{ n: number }>('SELECT count(*)::int AS n FROM fanout_chunks')
  t.ok((done[0]?.n ?? 5) < 5, 'chunks are missing')
  await startProcess(t, mesh)
  await finished(mesh, 1)
  t.equal((await told(mesh, 'news')).length, 2_300)
  t.equal(new Set(await told(mesh, 'news')).size, 2_300)
})

t.test('chunks that found no room in their queue come when there is some', async (t) => {
  const mesh = await meshWithSubscribers(t, 2_300)
  await adjustFanoutStream(mesh, 'max_msgs: 1')
  await mesh.startDispatcher({ CARILLON_RESPOOL_AFTER_MS: '200' })
  await mesh.publish({ type: 'a.b.v1', id: 'news', data: { to: { topic: 'news' } } })
  await eventually(async () => (await outcome(mesh, 'news')) !== undefined)
  await adjustFanoutStream(mesh, 'max_msgs: -1')
  await finished(mesh, 1)
  await toldOnce(t, mesh, 2_300)
})

t.test('the event comes again while its chunks run', async (t) => {
  const mesh = await meshWithSubscribers(t, 2_300)
  await mesh.startDispatcher()
  const event = { type: 'a.b.v1', id: 'news', data: { to: { topic: 'news' } } }
  await mesh.publish(event)
  await eventually(async () => (await mesh.rows('SELECT chunk FROM fanout_chunks')).length > 0)
  await mesh.publish(event, event)
  await finished(mesh, 1)
  await eventually(async () => {
    const { waiting, inFlight } = await backlogOf(mesh.connection, {
      stream: 'JOBS_FANOUT',
      durable: 'fanout-normal',
    })
    return waiting + inFlight === 0
  })
  await toldOnce(t, mesh, 2_300)
  t.match(await mesh.rows('SELECT count(*)::int AS n FROM fanouts'), [{ n: 1 }])
})

t.test('a fan-out that can no longer be judged ends, and says so once', async (t) => {
  const mesh = await meshWithSubscribers(t, 2_300)
  const doomed = await startProcess(t, mesh, { CARILLON_FAILPOINT: 'dispatcher.after-chunk:1' })
  await mesh.publish({ type: 'a.b.v1', id: 'news', data: { to: { topic: 'news' } } })
  t.match(await doomed.exited, { signal: 'SIGKILL' })
  await mesh.rows(`UPDATE tenants SET status = 'suspended' WHERE id = $1`, [TENANT])
  await startProcess(t, mesh)
  await eventually(async () => (await mesh.rows('SELECT FROM fanouts WHERE due_at IS NULL')).length === 1)
  await eventually(async () => (await streamState(mesh.connection, 'JOBS_FANOUT')).messages === 0)
  t.match(await mesh.rows('SELECT finished_at FROM fanouts'), [{ finished_at: null }])
  const about = (await mesh.deadLetters()).filter(({ subject }) => subject.startsWith('job.fanout'))
  t.match(about, [{ reason: /fan-out of "news": tenant "acme" is suspended/ }])
  t.equal(about.length, 1)
})
