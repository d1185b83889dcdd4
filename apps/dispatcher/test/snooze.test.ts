import { eventually, useNodeProcess } from '@carillon/testkit'
import t from 'tap'
import { dispatched, type Mesh, useMesh } from './support.js'

const MAIN = new URL('../src/main.js', import.meta.url).pathname

interface RunRow {
  id: string
  read_at: Date | null
  seen_at: Date | null
  snoozed_until: Date | null
  revision: number
}
const RUNS = 'SELECT id, read_at, seen_at, snoozed_until, revision FROM runs ORDER BY id'

/** Ada's inbox with `count` notifications, which she has read. */
async function inboxOf(mesh: Mesh, count: number): Promise<{ ada: string; ids: string[] }> {
  await mesh.putWorkflow({
    key: 'k',
    on: 'a.b.v1',
    to: 'data.user',
    content: { title: 'n{{ data.n }}', body: 'x' },
    steps: ['inbox'],
  })
  const ada = await mesh.putUser('ada')
  const numbers = Array.from({ length: count }, (_, n) => n)
  await mesh.publish(...numbers.map((n) => ({ type: 'a.b.v1', id: `e${n}`, data: { user: 'ada', n } })))
  await dispatched(mesh)
  const runs = await mesh.rows<RunRow>(
    'UPDATE runs SET read_at = now(), seen_at = now(), revision = 1 RETURNING id',
  )
  return { ada, ids: runs.map(({ id }) => id).sort() }
}

const snooze = (mesh: Mesh, ids: string[], seconds: number) =>
  mesh.rows(
    `UPDATE runs SET snoozed_until = now() + make_interval(secs => $2), revision = revision + 1 WHERE id = ANY ($1::uuid[])`,
    [ids, seconds],
  )

const returned = async (mesh: Mesh, ada: string) =>
  (await mesh.frames(ada)).filter(({ type }) => type === 'notification.updated')

function startProcess(t: Parameters<typeof useNodeProcess>[0], mesh: Mesh, failpoint?: string) {
  return useNodeProcess(t, {
    script: MAIN,
    ready: /process\.started/,
    env: {
      NATS_URL: mesh.natsUrl,
      DATABASE_WORKER_URL: mesh.workerUrl,
      CARILLON_ENVIRONMENT: 'development',
      CARILLON_WAKE_EVERY_MS: '50',
      ...(failpoint === undefined ? {} : { CARILLON_FAILPOINT: failpoint }),
    },
  })
}

t.test('what was put off comes back by itself, once among three dispatchers, unread and whole', async (t) => {
  const mesh = await useMesh(t)
  await Promise.all([mesh.startDispatcher(), mesh.startDispatcher(), mesh.startDispatcher()])
  const { ada, ids } = await inboxOf(mesh, 40)
  const [later = '', ...due] = ids
  await snooze(mesh, [later], 3_600)
  await snooze(mesh, due, 0.3)
  await eventually(async () => (await returned(mesh, ada)).length >= due.length)
  await eventually(async () => (await mesh.rows('SELECT FROM outbox')).length === 0)

  const frames = await returned(mesh, ada)
  t.same(frames.map(({ id }) => id).sort(), due, 'a frame for each, and none twice')
  t.match(frames[0], {
    changes: {
      title: /^n\d+$/,
      seenAt: null,
      readAt: null,
      archivedAt: null,
      snoozedUntil: null,
      revision: 3,
    },
  })
  for (const run of await mesh.rows<RunRow>(RUNS)) {
    const back = { snoozed_until: null, read_at: null, seen_at: null, revision: 3 }
    t.match(run, run.id === later ? { snoozed_until: Date, read_at: Date, revision: 2 } : back)
  }
})

t.test('a dispatcher that dies between the return and its frames loses and doubles none', async (t) => {
  const mesh = await useMesh(t)
  const doomed = await startProcess(t, mesh, 'dispatcher.after-return:1')
  const { ada, ids } = await inboxOf(mesh, 5)
  await snooze(mesh, ids, 0)
  t.match(await doomed.exited, { signal: 'SIGKILL' })
  t.match(
    await mesh.rows(RUNS),
    ids.map((id) => ({ id, snoozed_until: null, read_at: null })),
    'they are back',
  )
  t.equal((await returned(mesh, ada)).length, 0, 'and nobody was told')

  await startProcess(t, mesh)
  await eventually(async () => (await mesh.rows('SELECT FROM outbox')).length === 0)
  t.same((await returned(mesh, ada)).map(({ id }) => id).sort(), ids)
})

t.test('what was removed before anybody was told of it never appears', async (t) => {
  const mesh = await useMesh(t, 'defaults: { consumer: { ack_wait: 1s } }')
  const doomed = await startProcess(t, mesh, 'dispatcher.after-commit:1')
  const told = inboxOf(mesh, 1)
  t.match(await doomed.exited, { signal: 'SIGKILL' })
  await mesh.rows('UPDATE runs SET removed_at = now()')
  await startProcess(t, mesh)
  const { ada } = await told
  await mesh.publish({ type: 'a.b.v1', id: 'after', data: { user: 'ada', n: 1 } })
  await eventually(async () => (await mesh.frames(ada)).length > 0)
  await dispatched(mesh)
  t.match(await mesh.frames(ada), [{ type: 'notification.created', notification: { title: 'n1' } }])
  t.equal((await mesh.rows('SELECT FROM runs')).length, 2)
})
