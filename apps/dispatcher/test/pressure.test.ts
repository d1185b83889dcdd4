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
  let longestDelayMs = 0
  let last = performance.now()
  const probe = setInterval(() => {
    longestDelayMs = Math.max(longestDelayMs, performance.now() - last)
    last = performance.now()
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
  t.ok(longestDelayMs < 1_000, `the event loop was never held up for long (${Math.round(longestDelayMs)} ms)`)

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

t.test('jobs that are gone from the queue are brought again from their rows', async (t) => {
  const mesh = await meshWithPushAndEmail(t)
  await mesh.startDispatcher({ CARILLON_RESPOOL_AFTER_MS: '300' })
  await mesh.publisher.publishAll('EVENTS', events(10))
  await eventually(async () => (await mesh.jobs('push')).length === 10)
  await adjustPushStream(mesh.connection, 'max_age: 100ms, duplicate_window: 100ms')
  await eventually(async () => (await mesh.jobs('push')).length === 0)
  await adjustPushStream(mesh.connection, 'max_age: 48h, duplicate_window: 2m')
  const jobs = await eventually(async () => {
    const found = await mesh.jobs('push')
    return new Set(found.map((job) => job.deliveryId)).size === 10 ? found : undefined
  })
  t.equal(jobs.length, 10, 'none twice while the queue still has it')
})

t.test('a queue that is long is not made longer', async (t) => {
  const mesh = await meshWithPushAndEmail(t)
  await mesh.startDispatcher({ CARILLON_RESPOOL_AFTER_MS: '100' })
  await mesh.publisher.publishAll('EVENTS', events(10))
  await dispatched(mesh)
  const before = await mesh.rows<{ due: Date }>('SELECT min(due_at) AS due FROM deliveries')
  await eventually(async () => {
    const [now] = await mesh.rows<{ due: Date }>('SELECT min(due_at) AS due FROM deliveries')
    return (now?.due ?? 0) > (before[0]?.due ?? 0)
  })
  t.equal((await mesh.jobs('push')).length, 10)
})
