import t from 'tap'
import { useEdge } from './support.js'

const edge = await useEdge(t)
const admin = await edge.key('acme', 'admin')
const stranger = await edge.key('globex', 'admin')

/** A run of the workflow "welcome" as the dispatcher leaves it. */
const arrange = async (user: string, minute: number, columns: string) => {
  const id = await edge.notify('acme', user, minute)
  await edge.owner.inTenant('acme', (tx) =>
    tx.query({ text: `UPDATE runs SET ${columns} WHERE id = $1`, values: [id] }),
  )
  return id
}
const wakes = async (id: string) => {
  const { rows } = await edge.owner.inTenant('acme', (tx) =>
    tx.query<{ due: boolean | null }>({
      text: 'SELECT wake_at <= now() AS due FROM runs WHERE id = $1',
      values: [id],
    }),
  )
  return rows[0]?.due
}

t.test('a cancel wakes the runs of its key, says what it met, and is audited', async (t) => {
  const waiting = await arrange(
    'ada',
    1,
    `state = 'waiting', cancel_key = 'r1', wake_at = now() + interval '1 day'`,
  )
  const complete = await arrange('ada', 2, `state = 'completed', cancel_key = 'r1'`)
  const other = await arrange(
    'ada',
    3,
    `state = 'waiting', cancel_key = 'r2', wake_at = now() + interval '1 day'`,
  )
  const workflow = (
    await edge.owner.inTenant('acme', (tx) =>
      tx.query<{ key: string }>({ text: 'SELECT workflow_key AS key FROM runs' }),
    )
  ).rows[0]?.key
  t.match(await edge.call(admin, `POST /v1/workflows/${workflow}/cancel`, { key: 'r1' }), {
    status: 200,
    body: { key: 'r1', waiting: 1, complete: 1 },
  })
  t.equal(await wakes(waiting), true)
  t.equal(await wakes(complete), true)
  t.equal(await wakes(other), false)
  const facts = await edge.stored('AUDIT', 'aud.workflows.cancelled.acme')
  t.match(JSON.parse(facts[0]?.body ?? '{}'), {
    resource: `workflow:${workflow}`,
    details: { key: 'r1', waiting: 1 },
  })

  await t.test("another tenant's cancel of the same key meets nothing", async (t) => {
    t.match(await edge.call(stranger, `POST /v1/workflows/${workflow}/cancel`, { key: 'r2' }), {
      status: 200,
      body: { waiting: 0, complete: 0 },
    })
    t.equal(await wakes(other), false)
  })
})

t.test('a cancel that comes before its run is kept', async (t) => {
  t.match(await edge.call(admin, 'POST /v1/workflows/later/cancel', { key: 'x' }), {
    status: 200,
    body: { waiting: 0, complete: 0 },
  })
  const { rows } = await edge.owner.inTenant('acme', (tx) =>
    tx.query({ text: `SELECT workflow_key, key FROM cancels WHERE workflow_key = 'later'` }),
  )
  t.match(rows, [{ workflow_key: 'later', key: 'x' }])
})

t.test('without a key nothing is cancelled', async (t) => {
  t.match(await edge.call(admin, 'POST /v1/workflows/later/cancel', {}), {
    status: 400,
    body: { code: 'VALIDATION' },
  })
})

t.test('being seen wakes what waits for it, once', async (t) => {
  const id = await arrange(
    'bo',
    1,
    `state = 'waiting', wake_on_seen = true, wake_at = now() + interval '1 day'`,
  )
  await edge.call(admin, 'PUT /v1/users/bo', {})
  const token = await edge.call(admin, 'POST /v1/users/bo/token', {})
  t.equal((await edge.call(String(token.body.token), `PUT /v1/inbox/${id}/seen`)).status, 204)
  t.equal(await wakes(id), true)
})

t.test('a segment that no expression makes is refused', async (t) => {
  const trigger = { to: { segment: 'user.attributes.plan ==' }, title: 'Hello' }
  t.match(await edge.call(admin, 'POST /v1/notifications', trigger), {
    status: 400,
    body: { field: 'to.segment' },
  })
})
