import { readFile } from 'node:fs/promises'
import { applyTopology, loadTopology, streamState } from '@carillon/jetstream'
import { eventually, useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { allHandled, finished, outcome, people, putPeople, told, workflow } from './audiences.js'
import { type Mesh, TENANT, useMesh } from './support.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname

type Scope = Parameters<typeof useNodeProcess>[0]
type Assertions = Pick<typeof t, 'equal' | 'same'>

async function adjustFanoutStream(mesh: Mesh, setting: string): Promise<void> {
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  const overlay = `defaults: { consumer: { ack_wait: 1s } }\nstreams:\n  JOBS_FANOUT: { ${setting} }\n`
  await applyTopology(
    mesh.connection,
    loadTopology(await file('topology.yaml'), [await file('environments/single.yaml'), overlay]),
  )
}

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
  await allHandled(mesh)
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
