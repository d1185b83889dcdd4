import { randomUUID } from 'node:crypto'
import { auditSubject, eventSubject, jobSubject, receiptSubject } from '@carillon/contracts'
import { eventually } from '@carillon/testkit'
import t from 'tap'
import { quiet, TENANT, useWorld, type World } from './world.js'

const TYPE = 'rides.ride.paid.v1'
const KEY = { good: 'good', unreachable: 'unreachable', moody: 'moody', plain: 'plain' } as const

t.test('poison on every stream is buried with its reason and nothing behind it waits', async (t) => {
  const world = await useWorld(t)
  await world.start('history,audit,dispatcher,delivery', { CARILLON_MAX_ATTEMPTS: '2' })
  await world.carillon.putWorkflow(workflow(KEY.plain, '[inbox, push, email]'), KEY.plain)

  await t.test('a message that can not be read, before one that can', async (t) => {
    const poison = [
      { stream: 'EVENTS', subject: eventSubject('normal', TENANT, TYPE) },
      { stream: 'JOBS_PUSH', subject: jobSubject('push', 'normal', TENANT) },
      { stream: 'JOBS_EMAIL', subject: jobSubject('email', 'normal', TENANT) },
      { stream: 'JOBS_WEBHOOK', subject: jobSubject('webhook', 'normal', TENANT) },
      { stream: 'RECEIPTS', subject: receiptSubject('push', 'opened', TENANT) },
      { stream: 'AUDIT', subject: auditSubject('user', 'changed', TENANT) },
    ]
    for (const { stream, subject } of poison) await world.publisher.publish(stream, { subject, body: '{' })
    await publish(world, 'behind', { user: 'ada' })
    const fact = { id: 'behind', at: Date.now(), actor: { kind: 'system', id: 'test' } }
    await world.publisher.publish('AUDIT', {
      subject: auditSubject('user', 'changed', TENANT),
      body: JSON.stringify({ ...fact, action: 'user.changed', resource: 'ada', outcome: 'ok' }),
    })
    await quiet(world)
    await eventually(async () => (await world.deadLetters()).length === poison.length)
    const letters = await world.deadLetters()
    for (const { stream, subject } of poison) {
      const letter = letters.find((candidate) => candidate.subject === subject)
      t.match(letter?.reason, /not valid JSON/, `${stream} says why`)
    }
    t.match(await deliveriesOf(world, 'behind'), [
      { channel: 'email', status: 'sent' },
      { channel: 'push', status: 'sent' },
    ])
    t.equal((await world.rows(`SELECT FROM audit WHERE fact_id = 'behind'`)).length, 1)
    t.ok((await world.rows('SELECT FROM receipts')).length > 0, 'receipts behind it are written')
  })

  await t.test('what can be stored is, what can not is buried, whatever it looks like', async (t) => {
    const before = (await world.deadLetters()).length
    const nested = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
    const cases = [
      { id: 'nul', data: '{"user":"ada","x":"a\\u0000b"}', there: true },
      { id: 'surrogate', data: '{"user":"ada","x":"\\ud800"}', there: true },
      { id: 'nul-user', data: '{"user":"a\\u0000b"}', there: true },
      { id: 'proto', data: '{"user":"ada","__proto__":{"user":"eve"},"constructor":null}', there: true },
      { id: 'number', data: '{"user":"ada","x":1e999,"y":-0}', there: true },
      { id: 'twice', data: '{"user":"eve","user":"ada"}', there: true },
      { id: 'full', data: JSON.stringify({ user: 'ada', x: 'x'.repeat(256 * 1024 - 40) }), there: true },
      { id: 'over', data: JSON.stringify({ user: 'ada', x: 'x'.repeat(256 * 1024) }), there: false },
      { id: 'deep', data: `{"user":"ada","x":${nested}}`, there: false },
      { id: 'x'.repeat(513), data: '{"user":"ada"}', there: false },
      { id: 'bad%ZZ', data: '{"user":"ada"}', there: false },
    ]
    for (const { id, data } of cases) await publish(world, id, data)
    await world.publisher.publish('EVENTS', { subject: 'evt.normal.NO_TENANT.a.b', body: '{}' })
    await world.publisher.publish('EVENTS', { subject: `evt.normal.${TENANT}.%ZZ`, body: '{}' })
    await publish(world, 'after', { user: 'ada' })
    await quiet(world)
    const stored = await world.rows<{ id: string }>('SELECT event_id AS id FROM events')
    const ids = new Set(stored.map(({ id }) => id))
    for (const { id, there } of cases) {
      t.equal(ids.has(id), there, `${id.slice(0, 20)} is ${there ? 'stored' : 'refused'}`)
    }
    t.ok(ids.has('after'))
    const refused = cases.filter(({ there }) => !there).length + 2
    await eventually(async () => (await world.deadLetters()).length === before + refused)
    t.equal((await deliveriesOf(world, 'after')).length, 2)
  })

  await t.test('a broken workflow, template, webhook or token is its own trouble alone', async (t) => {
    await world.rows(
      `INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, 'broken', 1, '{"key":"broken","steps":7}')`,
      [TENANT],
    )
    await world.rows('UPDATE tenants SET epoch = epoch + 1 WHERE id = $1', [TENANT])
    const { url } = world.simulators.webhook
    await world.carillon.putWorkflow(workflow(KEY.good, `[{ webhook: { url: "${url}" } }]`), KEY.good)
    await world.carillon.putWorkflow(
      workflow(KEY.unreachable, '[{ webhook: { url: "https://127.0.0.1:1/nobody" } }]'),
      KEY.unreachable,
    )
    await world.carillon.putWorkflow(
      workflow(KEY.moody, '[inbox]', '{{ data.names[user.id].first }}'),
      KEY.moody,
    )
    await world.carillon.putDevice('bob', 'phone', { kind: 'fcm', token: `gone-${randomUUID()}` })
    await publish(world, 'all', { user: ['ada', 'bob'], names: { ada: { first: 'Ada' } } })
    await quiet(world)
    const runs = await world.rows<{ workflow: string; recipient: string; state: string; reason: string }>(
      `SELECT r.workflow_key AS workflow, r.recipient, r.state, r.reason FROM runs r JOIN events e ON e.id = r.event_id
       WHERE e.event_id = 'all' ORDER BY 1, 2`,
    )
    t.match(
      runs.filter(({ workflow }) => workflow === KEY.moody),
      [
        { recipient: 'ada', state: 'completed' },
        { recipient: 'bob', state: 'failed', reason: 'PAYLOAD_INVALID' },
      ],
      'a text that misses something for one fails for that one',
    )
    const outcome = await world.rows<{
      workflow: string
      recipient: string
      channel: string
      status: string
    }>(
      `SELECT r.workflow_key AS workflow, r.recipient, d.channel, d.status FROM deliveries d JOIN runs r ON r.id = d.run_id
       JOIN events e ON e.id = r.event_id WHERE e.event_id = 'all' ORDER BY 1, 2, 3, 4`,
    )
    const said = outcome.map((row) => `${row.workflow} ${row.recipient} ${row.channel} ${row.status}`)
    t.ok(said.includes('good ada webhook sent'))
    t.ok(said.includes('unreachable ada webhook failed'))
    t.ok(said.includes('plain ada push sent'))
    t.ok(said.includes('plain bob push failed'), 'a token that the provider disowns fails')
    t.ok(said.includes('plain bob email sent'), 'and the mail goes all the same')
    await eventually(async () => (await world.rows(`SELECT FROM devices WHERE status = 'gone'`)).length === 1)
  })
})

function workflow(key: string, steps: string, title = 'Paid'): string {
  return `{ key: ${key}, on: ${TYPE}, to: data.user, content: { title: "${title}", body: "x" }, steps: ${steps} }`
}

async function publish(world: World, id: string, data: unknown): Promise<void> {
  await world.publisher.publish('EVENTS', {
    subject: eventSubject('normal', TENANT, TYPE),
    headers: { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/test', 'ce-type': TYPE },
    body: typeof data === 'string' ? data : JSON.stringify(data),
  })
}

function deliveriesOf(world: World, event: string) {
  return world.rows(
    `SELECT d.channel, d.status FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN events e ON e.id = r.event_id
     WHERE e.event_id = $1 ORDER BY 1`,
    [event],
  )
}
