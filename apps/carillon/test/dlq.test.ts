import { eventSubject, jobSubject, receiptSubject } from '@carillon/contracts'
import { applyTopology, openConnection, rolePermissions } from '@carillon/jetstream'
import { eventually, useNats } from '@carillon/testkit'
import t from 'tap'
import { readTopology } from '../src/mesh/topology-files.js'
import { type CliResult, runCli } from './support.js'
import { quiet, TENANT, useWorld } from './world.js'

const TYPE = 'rides.ride.accepted.v1'
const world = await useWorld(t)
const roles = await world.start('history,audit,dispatcher,delivery', { CARILLON_MAX_ATTEMPTS: '2' })
await world.carillon.putWorkflow(
  `{ key: told, on: ${TYPE}, to: data.user, content: { title: "{{ data.title }}" }, steps: [push] }`,
  'told',
)
const { faults } = world.simulators.fcm

interface Delivery {
  id: string
  runId: string
  event: string
  status: string
  replays: number
  attempts: number
  unknowns: number
}

const deliveries = async (like: string) =>
  world.rows<Delivery>(
    `SELECT d.id, d.run_id AS "runId", e.event_id AS event, d.status, d.replays, d.attempt_no AS attempts, d.unknowns
      FROM deliveries d JOIN runs r ON r.id = d.run_id JOIN events e ON e.id = r.event_id WHERE e.event_id LIKE $1 ORDER BY 3`,
    [like],
  )
const ring = (id: string, user: string) =>
  world.carillon.publish({ type: TYPE, id, data: { user, title: id } })
const become = (like: string, count: number, status: string) =>
  eventually(
    async () => {
      const rows = await deliveries(like)
      const right = rows.length === count && rows.every((row) => row.status === status)
      if (!right) throw new Error(`${like}: ${JSON.stringify(rows)}`)
      return true
    },
    { timeoutMs: 90_000, everyMs: 100 },
  )
const dlq = (...args: string[]): Promise<CliResult> =>
  runCli(t, ['dlq', ...args], {
    env: { CARILLON_URL: world.url, CARILLON_API_KEY: world.apiKey, NATS_URL: world.nats.url },
  })
const databaseNow = async () =>
  (await world.rows<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]?.now.toISOString() ?? ''
const rings = (rows: Delivery[]) => rows.map(({ id }) => world.rung.get(id) ?? 0)

t.test('what failed while the provider was down is sent again, each once, and nothing else', async (t) => {
  const [eve] = await world.rows<{ token: string }>(
    `SELECT d.address ->> 'token' AS token FROM devices d JOIN users u ON u.id = d.user_id WHERE u.external_id = 'eve'`,
  )
  faults.break()
  await ring('before', 'ada')
  await become('before', 1, 'failed')
  faults.heal()
  await ring('between', 'ada')
  await eventually(async () => rings(await deliveries('between'))[0] === 1)
  const from = await databaseNow()
  faults.break()
  await Promise.all([0, 1, 2, 3].map((n) => ring(`down-${n}`, n % 2 === 0 ? 'ada' : 'bob')))
  await ring('late', 'bob')
  await become('down-%', 4, 'failed')
  await become('late', 1, 'failed')
  faults.heal()
  // cuts the connection, and with it whatever else is on its way: alone
  faults.rules.push({ match: (token) => token === eve?.token, reply: 'reset' })
  await ring('maybe', 'eve')
  await become('maybe', 1, 'failed')
  const to = await databaseNow()
  t.match(await deliveries('maybe'), [{ unknowns: 2 }], 'nobody knows whether it rang')
  t.ok((await deliveries('down-%')).every(({ unknowns }) => unknowns === 0))
  const { 1: address = '' } = /"url":"([^"]+)"/.exec(await roles.line(/http\.listening/)) ?? []
  const metrics = await (await fetch(`${address}/metrics`)).text()
  t.match(metrics, /^dispatcher_dead_letters\{channel="push",reason="PROVIDER_UNAVAILABLE"\} 7$/m)
  t.match(metrics, /^history_dead_letters_total\{channel="push",reason="PROVIDER_UNAVAILABLE"\} [1-7]$/m)
  await world.rows(`UPDATE deliveries SET expires_at = now() WHERE id = $1`, [
    (await deliveries('late'))[0]?.id,
  ])
  faults.heal()
  const range = ['--provider', 'fcm', '--from', from, '--to', to]

  const listed = await dlq('list', ...range, '--json')
  t.equal(listed.code, 0, listed.stderr)
  const letters = JSON.parse(listed.stdout) as { id: string; reason: string; unknowns: number }[]
  t.equal(letters.length, 6)
  const shown = await dlq('show', letters.find(({ unknowns }) => unknowns > 0)?.id ?? '')
  t.match(shown.stdout, /push to fcm default for eve, workflow told/)
  t.match(shown.stdout, /it may have rung/)
  t.match(shown.stdout, /attempt \d through fcm {2}unknown/)

  const dry = await dlq('redrive', ...range, '--dry-run')
  t.match(dry.stdout, /^4 of 6 would go again; not: (1 EXPIRED, 1 MAYBE_SENT|1 MAYBE_SENT, 1 EXPIRED)/)
  const asked = await dlq('redrive', ...range)
  t.equal(asked.code, 2, 'where nobody can be asked it is not done')
  t.match(asked.stderr, /4 of 6 go again.*--yes/)
  t.ok((await deliveries('down-%')).every(({ replays }) => replays === 0))
  const first = await dlq('redrive', ...range, '--yes')
  t.equal(first.code, 0, first.stderr)
  t.match(first.stdout, /^4 of 6 on their way again/)
  await eventually(
    async () => (await deliveries('down-%')).every(({ status }) => /^(sent|delivered)$/.test(status)),
    {
      timeoutMs: 90_000,
    },
  )
  t.same(rings(await deliveries('down-%')), [1, 1, 1, 1])

  const second = await dlq('redrive', ...range, '--yes', '--json')
  t.match(JSON.parse(second.stdout), { matched: 2, redriven: 0, refused: { EXPIRED: 1, MAYBE_SENT: 1 } })
  await quiet(world)
  t.same(rings(await deliveries('down-%')), [1, 1, 1, 1], 'the same again rings nobody')
  t.ok((await deliveries('down-%')).every(({ replays }) => replays === 1))
  for (const left of ['before', 'late', 'maybe']) {
    t.match(await deliveries(left), [{ status: 'failed', replays: 0 }], left)
    t.same(rings(await deliveries(left)), [0])
  }

  const even = await dlq('redrive', ...range, '--even-unknown', '--yes')
  t.match(even.stdout, /^1 of 2 on their way again; not: 1 EXPIRED/)
  await eventually(async () =>
    (await deliveries('maybe')).every(({ status }) => /^(sent|delivered)$/.test(status)),
  )
  const gone = await dlq('redrive', letters[0]?.id ?? '')
  t.equal(gone.code, 1, 'of what was named nothing went')
  t.match(gone.stdout, /NOT_DEAD/)
  t.match(await dlq('show', 'x'.repeat(43)), { code: 1, stderr: /There is no dead letter/ })
})

t.test('what was sent again is delivered like any other, and its story says so', async (t) => {
  const [delivery] = (await deliveries('down-0')) as [Delivery]
  const receipt = {
    deliveryId: delivery.id,
    runId: delivery.runId,
    userId: delivery.id,
    channel: 'push',
    status: 'delivered',
    at: Date.now(),
    by: 'device',
  }
  await world.publisher.publish('RECEIPTS', {
    subject: receiptSubject('push', 'delivered', TENANT),
    body: JSON.stringify(receipt),
  })
  await become('down-0', 1, 'delivered')
  const told = await world.carillon.call<{ text: string }>(
    'GET',
    `/v1/notifications/${delivery.runId}/explain`,
  )
  t.match(told.text, /sent again on/)
  const { deliveries: shown } = await world.carillon.call<{
    deliveries: { timeline: { what: string }[] }[]
  }>('GET', `/v1/notifications/${delivery.runId}/deliveries`)
  const moments = shown[0]?.timeline.map(({ what }) => what) ?? []
  t.same(
    moments.filter((what, index) => what !== moments[index - 1]),
    ['queued', 'attempt', 'failed', 'replayed', 'attempt', 'accepted', 'delivered'],
  )
})

t.test('what could not be processed is published again where it was, and jobs never are', async (t) => {
  const before = (await world.deadLetters()).length
  const later = { subject: eventSubject('normal', 'later', TYPE), headers: { 'ce-id': 'x' } }
  await world.publisher.publish('EVENTS', { subject: later.subject, body: '{"user":"ada"}' })
  await world.publisher.publish('JOBS_PUSH', { subject: jobSubject('push', 'normal', TENANT), body: '{' })
  await eventually(async () => (await world.deadLetters()).length === before + 2)
  const listed = await dlq('list', '--poison', '--stream', 'EVENTS', '--tenant', 'later', '--json')
  t.equal(listed.code, 0, listed.stderr)
  const [letter] = JSON.parse(listed.stdout) as { sequence: number; reason: string; subject: string }[]
  t.match(letter, { subject: later.subject, reason: /tenant/ })
  const shown = await dlq('show', '--poison', String(letter?.sequence))
  t.match(shown.stdout, /"user": "ada"/)
  await world.rows(`INSERT INTO tenants (id, name) VALUES ('later', 'Later')`)
  const sent = await dlq('redrive', '--poison', String(letter?.sequence))
  t.match(sent, { code: 0, stdout: /^1 of 1 published again/ }, sent.stderr)
  await eventually(
    async () => (await world.rows(`SELECT FROM events WHERE tenant_id = 'later'`)).length === 1,
  )
  t.equal((await world.deadLetters()).length, before + 1, 'its letter is gone')
  t.match(await dlq('redrive', '--poison', String(letter?.sequence)), { code: 1, stderr: /no letter/ })

  const jobs = await dlq('redrive', '--poison', '--stream', 'JOBS_PUSH', '--yes')
  t.match(jobs, { code: 0, stdout: /^0 of \d+ published again\n {2}\d+ are jobs/ })
  t.equal((await world.deadLetters()).length, before + 1)
})

t.test('where NATS knows its users, the operator is one of them', async (t) => {
  // a pair of this test alone
  const OPERATOR = {
    key: 'UDRAVS5BX7DAMXYNHV7YOSFS5ZHEAPXYFY3YLLPBI5RU33SCHBFA4XAW',
    seed: 'SUALH7IYVUFN36QBHMKBEMWWADYROPKRJKNS4O6HHXXF7VMW2QV5ASXHPM',
  }
  const topology = await readTopology('single')
  const { publish = [], subscribe = [] } =
    rolePermissions(topology).find(({ role }) => role === 'operator') ?? {}
  const users = [
    { nkey: OPERATOR.key, permissions: { publish, subscribe } },
    { user: 'test', password: 'test' },
  ]
  const nats = await useNats(t, {
    maxStore: '200G',
    extraConfig: { accounts: { MESH: { jetstream: true, users } } },
  })
  const connection = await openConnection({
    servers: nats.url,
    name: 'test',
    credentials: { kind: 'password', user: 'test', password: 'test' },
  })
  t.teardown(() => connection[Symbol.asyncDispose]())
  await applyTopology(connection, topology)
  const env = { NATS_URL: nats.url, NATS_NKEY_SEED: OPERATOR.seed, NATS_INBOX_PREFIX: '_INBOX_operator' }
  t.match(await runCli(t, ['dlq', 'list', '--poison'], { env }), { code: 0, stdout: 'no dead letters\n' })
})
