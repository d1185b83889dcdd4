import { decodeReceipt } from '@carillon/contracts'
import { readSubject } from '@carillon/jetstream'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { dispatched, passTime, useMesh } from './support.js'

t.test('a run that waits goes on, judged with the facts of then', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'reminder',
    on: 'a.b.v1',
    to: 'data.user',
    stop: 'seen',
    content: { title: 'T', body: 'x' },
    steps: ['inbox', { wait: '1h' }, 'push', { wait: '1h' }, 'email'],
  })
  const ada = await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.startDispatcher()
  await mesh.publish({ type: 'a.b.v1', id: 'e1', data: { user: 'ada' } })
  await dispatched(mesh)
  t.match(await mesh.rows('SELECT state, next_step FROM runs'), [{ state: 'waiting', next_step: 2 }])
  // the device comes after the event, before the step
  await mesh.putDevice(ada)
  await passTime(mesh)
  await eventually(async () => (await mesh.jobs('push')).length === 1)

  await t.test('and stops once it was seen anywhere', async (t) => {
    await mesh.rows('UPDATE runs SET seen_at = now()')
    await passTime(mesh)
    const [run] = await eventually(async () => {
      const rows = await mesh.rows<{ state: string; wake_at: Date | null; plan: unknown[] }>(
        'SELECT state, wake_at, plan FROM runs',
      )
      return rows[0]?.state === 'completed' && rows[0].wake_at === null ? rows : undefined
    })
    t.match(run?.plan.at(-1), { steps: [{ type: 'email', outcome: 'skip', reason: 'ALREADY_SEEN' }] })
    t.equal((await mesh.jobs('email')).length, 0)
    t.equal((await mesh.frames(ada)).length, 1)
  })
})

t.test('an inbox step after a wait appears when it is due, once', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'later',
    on: 'a.b.v1',
    to: 'data.user',
    content: { title: 'Later', body: 'x' },
    steps: [{ wait: '1h' }, 'inbox'],
  })
  const ada = await mesh.putUser('ada')
  await mesh.startDispatcher()
  await mesh.startDispatcher()
  await mesh.publish({ type: 'a.b.v1', id: 'e1', data: { user: 'ada' } })
  await dispatched(mesh)
  t.equal((await mesh.frames(ada)).length, 0)
  await passTime(mesh)
  await eventually(
    async () =>
      (await mesh.rows(`SELECT id FROM runs WHERE state = 'completed' AND wake_at IS NULL`)).length === 1,
  )
  t.match(await mesh.frames(ada), [{ type: 'notification.created', notification: { title: 'Later' } }])
})

t.test('a delivery that expired while it waited is not sent, and told of', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'k',
    on: 'a.b.v1',
    to: 'data.user',
    expires: '1h',
    content: { title: 'T', body: 'x' },
    steps: ['email'],
  })
  const ada = await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.startDispatcher()
  await mesh.publish({ type: 'a.b.v1', id: 'e1', data: { user: 'ada' } })
  await dispatched(mesh)
  // both come due in one moment; of a clearing nobody is told
  await mesh.rows(`WITH late AS (
      UPDATE deliveries SET expires_at = now() - interval '1 minute', status = 'retrying', due_at = now() RETURNING *
    )
    INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, purpose, status, expires_at, due_at, created_at, updated_at)
    SELECT run_id, gen_random_uuid(), tenant_id, user_id, 'push', lane, step, 'device', gen_random_uuid(), 'clear', status, expires_at, due_at, now(), now() FROM late`)
  await eventually(async () => {
    const rows = await mesh.rows<{ status: string; reason: string }>(
      'SELECT status, reason FROM deliveries WHERE due_at IS NULL',
    )
    return rows.length === 2 && rows.every((row) => row.status === 'expired' && row.reason === 'EXPIRED')
  })
  t.equal((await mesh.jobs('email')).length, 1, 'only the first job')
  const receipts = () =>
    readSubject(mesh.connection, { stream: 'RECEIPTS', subject: 'rcp.>', fromSequence: 1, limit: 10 })
  await eventually(async () => (await mesh.rows('SELECT FROM outbox')).length === 0)
  const [told, ...others] = await receipts()
  t.equal(told?.subject, 'rcp.email.expired.acme')
  t.match(decodeReceipt(told?.body as Uint8Array), {
    userId: ada,
    status: 'expired',
    reason: 'EXPIRED',
    by: 'worker',
  })
  t.same(others, [])
})

t.test('what a request left in the outbox is published and removed', async (t) => {
  const mesh = await useMesh(t)
  const ada = await mesh.putUser('ada')
  await mesh.rows(
    `INSERT INTO outbox (tenant_id, stream, subject, message_id, body, created_at) VALUES ('acme', 'LIVE', $1, 'm1', '{"type":"notification.updated","id":"x"}', now() - interval '10 seconds')`,
    [`rt.acme.user.${ada}`],
  )
  await mesh.startDispatcher()
  await eventually(async () => (await mesh.frames(ada)).length === 1)
  await eventually(async () => (await mesh.rows('SELECT id FROM outbox')).length === 0)
})

t.test('a cap holds for what goes out after a wait, and counts a run once', async (t) => {
  const mesh = await useMesh(t)
  await mesh.putWorkflow({
    key: 'capped',
    on: 'a.b.v1',
    to: 'data.user',
    cap: { count: 1, per: '360d' },
    content: { title: 'T', body: 'x' },
    steps: ['inbox', { wait: '100ms' }, 'push', { wait: '100ms' }, 'push'],
  })
  const ada = await mesh.putUser('ada')
  await mesh.putDevice(ada)
  await mesh.startDispatcher()
  await mesh.publish({ type: 'a.b.v1', id: 'e1', data: { user: 'ada' } })
  await eventually(async () => (await mesh.jobs('push')).length === 2)
  await mesh.publish({ type: 'a.b.v1', id: 'e2', data: { user: 'ada' } })
  await eventually(
    async () =>
      (await mesh.rows(`SELECT id FROM runs WHERE state = 'completed' AND wake_at IS NULL`)).length === 2,
  )
  t.equal((await mesh.jobs('push')).length, 2, 'the second run rang nobody beyond the inbox')
  const [run] = await mesh.rows<{ plan: unknown[] }>(
    `SELECT r.plan FROM runs r JOIN events e ON e.id = r.event_id WHERE e.event_id = 'e2'`,
  )
  t.match(run?.plan[1], { steps: [{ type: 'push', outcome: 'skip', reason: 'FREQUENCY_CAPPED' }] })
})

t.test('a run that waited finds its template again', async (t) => {
  const mesh = await useMesh(t)
  await mesh.rows(
    `INSERT INTO templates (tenant_id, key, version, locales) VALUES ('acme', 'receipt', 1, '{"default":{"title":"Receipt {{ data.n }}","body":"x"}}')`,
  )
  await mesh.putWorkflow({
    key: 'later',
    on: 'a.b.v1',
    to: 'data.user',
    steps: [{ wait: '100ms' }, { email: { template: 'receipt' } }],
  })
  await mesh.putUser('ada', { email: 'ada@example.com' })
  await mesh.startDispatcher()
  await mesh.publish({ type: 'a.b.v1', id: 'e1', data: { user: 'ada', n: 7 } })
  await dispatched(mesh)
  // a newer version is published meanwhile: the run keeps the one it began with
  await mesh.rows(`UPDATE workflows SET status = 'retired'`)
  await mesh.rows('UPDATE tenants SET epoch = epoch + 1')
  await eventually(async () => (await mesh.jobs('email')).length === 1)
  t.match(await mesh.rows('SELECT state, content FROM runs'), [
    { state: 'completed', content: { 1: { title: 'Receipt 7' } } },
  ])
})
