import { readFile } from 'node:fs/promises'
import { applyTopology, type Connection, loadTopology } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { dispatched, eventMessage, type Mesh, useMesh } from './support.js'

async function adjustPushStream(connection: Connection, setting: string): Promise<void> {
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  const overlay = `streams:\n  JOBS_PUSH: { ${setting} }\n`
  await applyTopology(
    connection,
    loadTopology(await file('topology.yaml'), [await file('environments/single.yaml'), overlay]),
  )
}

async function meshWithPushAndEmail(t: Parameters<typeof useMesh>[0]): Promise<Mesh> {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'both',
    on: 'a.b.v1',
    to: 'data.user',
    content: { title: 'T', body: 'x' },
    steps: ['inbox', 'push', 'email'],
  })
  const ada = await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.putDevice(ada)
  return mesh
}

const events = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) =>
    eventMessage({ type: 'a.b.v1', id: `e${from + index}`, data: { user: 'ada' } }),
  )

t.test('a full queue of one channel delays neither another channel nor the dispatcher', async (t) => {
  const mesh = await meshWithPushAndEmail(t)
  await adjustPushStream(mesh.connection, 'max_msgs_per_subject: 5')
  await mesh.startDispatcher({ CARILLON_REFUSED_AGAIN_MS: '50' })
  // computing alone: on a busy machine a turn takes long without anybody holding it up
  let longestMs = 0
  let last = process.cpuUsage()
  const probe = setInterval(() => {
    const { user, system } = process.cpuUsage(last)
    longestMs = Math.max(longestMs, (user + system) / 1000)
    last = process.cpuUsage()
  }, 5)
  await mesh.publisher.publishAll('EVENTS', events(60))
  await dispatched(mesh)
  clearInterval(probe)
  t.equal((await mesh.jobs('email')).length, 60, 'every e-mail job is out')
  t.ok((await mesh.jobs('push')).length <= 5, 'no more push jobs than there is room')
  t.match(
    await mesh.rows(`SELECT count(*)::int AS n FROM deliveries WHERE channel = 'push' AND status = 'queued'`),
    [{ n: 60 }],
  )
  t.ok(longestMs < 1_000, `the event loop was never held up for long (${Math.round(longestMs)} ms)`)

  await t.test('what was refused is brought as soon as there is room', async (t) => {
    await adjustPushStream(mesh.connection, 'max_msgs_per_subject: 1000')
    await eventually(async () => (await mesh.jobs('push')).length === 60)
    const jobs = await mesh.jobs('push')
    t.equal(new Set(jobs.map((job) => job.deliveryId)).size, 60, 'each delivery once')
    await eventually(
      async () => (await mesh.rows(`SELECT id FROM deliveries WHERE detail IS NOT NULL`)).length === 0,
    )
  })
})

/** It is time to ask again whether the jobs of all deliveries ever came; resolves once somebody begins to. */
async function askAgain(mesh: Mesh): Promise<void> {
  await mesh.rows('UPDATE deliveries SET due_at = now()')
  await eventually(async () => (await mesh.rows('SELECT FROM deliveries WHERE due_at <= now()')).length === 0)
}

t.test('jobs that are gone from the queue are brought again from their rows', async (t) => {
  const mesh = await meshWithPushAndEmail(t)
  await mesh.startDispatcher()
  await mesh.publisher.publishAll('EVENTS', events(10))
  await dispatched(mesh)
  t.equal((await mesh.jobs('push')).length, 10)
  await adjustPushStream(mesh.connection, 'max_age: 100ms, duplicate_window: 100ms')
  await eventually(async () => (await mesh.jobs('push')).length === 0)
  await adjustPushStream(mesh.connection, 'max_age: 48h, duplicate_window: 2m')
  await askAgain(mesh)
  const jobs = await eventually(async () => {
    const found = await mesh.jobs('push')
    return new Set(found.map((job) => job.deliveryId)).size === 10 ? found : undefined
  })
  t.equal(jobs.length, 10, 'each once')
})

t.test('a queue that is long is not made longer', async (t) => {
  const mesh = await meshWithPushAndEmail(t)
  await mesh.startDispatcher()
  await mesh.publisher.publishAll('EVENTS', events(10))
  await dispatched(mesh)
  await askAgain(mesh)
  // who asks a second time has published what was missing the first time
  await askAgain(mesh)
  t.equal((await mesh.jobs('push')).length, 10)
})
