import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { sealCredentials } from '@carillon/channels'
import { deliveryId, jobSubject, timedUuid, userId } from '@carillon/contracts'
import {
  applyTopology,
  createPublisher,
  loadTopology,
  openConnection,
  readSubject,
} from '@carillon/jetstream'
import { createLogins, maintain, migrate, openDatabase } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { startSimulators } from '@carillon/simulators'
import { eventually, useNats, useNodeProcess, usePostgres } from '@carillon/testkit'
import t from 'tap'

const MAIN = new URL('../src/main.js', import.meta.url).pathname
const MASTER_KEY = randomBytes(32)
type Scope = Parameters<typeof usePostgres>[0]

/** Real engines and simulated providers, with workers as processes of their own. */
async function useWorld(t: Scope) {
  const [nats, postgres, simulators] = await Promise.all([
    useNats(t),
    usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon' }),
    startSimulators({ allow: 'development' }),
  ])
  t.teardown(() => simulators[Symbol.asyncDispose]())
  const { workerUrl } = await createLogins({
    ownerUrl: postgres.url,
    requestLogin: { name: 'test_delivery_request', password: 'request' },
    workerLogin: { name: 'test_delivery_worker', password: 'worker' },
  })
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  const owner = openDatabase({ url: postgres.url, max: 4 })
  const publisher = createPublisher(connection)
  t.teardown(async () => {
    await publisher[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  await applyTopology(
    connection,
    loadTopology(await file('topology.yaml'), [
      await file('environments/single.yaml'),
      'defaults: { consumer: { ack_wait: 1s } }',
    ]),
  )
  await maintain(owner, { daysAhead: 1, retainDays: 30 })
  const rows = async <R>(text: string, values: unknown[] = []) =>
    (await owner.query<R>({ text, values })).rows
  let place = 0
  const world = {
    simulators,
    rows,
    startWorker: (failpoint?: string) =>
      useNodeProcess(t, {
        script: MAIN,
        ready: /process\.started/,
        env: {
          NATS_URL: nats.url,
          DATABASE_WORKER_URL: workerUrl,
          CARILLON_ENVIRONMENT: 'development',
          CARILLON_DELIVERY_CHANNELS: 'push',
          CARILLON_DELIVERY_LEASE_MS: '500',
          CARILLON_MASTER_KEY: MASTER_KEY.toString('base64url'),
          CARILLON_RECEIPT_KEY: randomBytes(32).toString('base64url'),
          CARILLON_PROVIDER_SETTINGS: JSON.stringify(simulators.settingsForChannels),
          ...(failpoint === undefined ? {} : { CARILLON_FAILPOINT: failpoint }),
        },
      }),
    async putTenant(tenant: string, credentials: unknown = simulators.credentials.fcm) {
      await rows('INSERT INTO tenants (id, name) VALUES ($1, $1)', [tenant])
      await rows(
        `INSERT INTO providers (tenant_id, channel, kind, credentials) VALUES ($1, 'push', 'fcm', $2)`,
        [tenant, sealCredentials(MASTER_KEY, credentials, { tenant, provider: 'fcm' })],
      )
      const user = userId(sha256, tenant, 'ada')
      await rows(`INSERT INTO users (tenant_id, id, external_id) VALUES ($1, $2, 'ada')`, [tenant, user])
    },
    /** One delivery to one device, queued, with everything behind it. */
    async queue(tenant: string, token: string, expiresAt: Date | null = null) {
      const user = userId(sha256, tenant, 'ada')
      const device = randomUUID()
      const run = timedUuid(Date.now(), sha256(`run ${place++}`))
      const id = deliveryId(sha256, { run, step: 1, address: device })
      await rows(
        `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash) VALUES ($1, $2, $3, 'fcm', $4, $5)`,
        [tenant, device, user, JSON.stringify({ token }), Buffer.from(device)],
      )
      await rows(
        `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
         VALUES ($1, $2, $1, 'w', 1, $3, 'ada', 'normal', 'done', '[]', '{"inbox":{"title":"Hello","body":"x"}}', true, now())`,
        [run, tenant, user],
      )
      await rows(
        `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, expires_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'push', 'normal', 1, 'device', $5, $6, now(), now())`,
        [run, id, tenant, user, device, expiresAt],
      )
      return { runId: run, deliveryId: id, tenant, device }
    },
    job: (job: { runId: string; deliveryId: string; tenant: string }) =>
      publisher.publish(`JOBS_PUSH`, {
        subject: jobSubject('push', 'normal', job.tenant),
        body: JSON.stringify({ runId: job.runId, deliveryId: job.deliveryId }),
      }),
    poison: (tenant: string) =>
      publisher.publish('JOBS_PUSH', { subject: jobSubject('push', 'normal', tenant), body: '{' }),
    becomes: (job: { deliveryId: string }, status: string) =>
      eventually(
        async () =>
          (await rows('SELECT FROM deliveries WHERE id = $1 AND status = $2', [job.deliveryId, status]))
            .length === 1,
      ),
    attempts: (job: { deliveryId: string }) =>
      rows<{ verdict: string | null }>(
        'SELECT verdict FROM attempts WHERE delivery_id = $1 ORDER BY attempt_no',
        [job.deliveryId],
      ),
    read: (stream: string, subject: string) =>
      readSubject(connection, { stream, subject, fromSequence: 1, limit: 100 }),
  }
  return world
}

const KILLED = [
  { place: 'after-claim', sends: 1, verdicts: ['unknown', 'accepted'] },
  { place: 'after-send', sends: 2, verdicts: ['unknown', 'accepted'] },
  { place: 'after-close', sends: 1, verdicts: ['accepted'] },
]
for (const { place, sends, verdicts } of KILLED) {
  t.test(`killed ${place}, nothing is lost and only an unknown attempt is repeated`, async (t) => {
    const world = await useWorld(t)
    await world.putTenant('acme')
    const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
    const doomed = await world.startWorker(`delivery.${place}:1`)
    await world.job(job)
    t.match(await doomed.exited, { signal: 'SIGKILL' })
    await world.startWorker()
    await world.becomes(job, 'sent')
    await eventually(async () => (await world.read('RECEIPTS', 'rcp.push.accepted.acme')).length === 1)
    t.same(
      (await world.attempts(job)).map(({ verdict }) => verdict),
      verdicts,
    )
    t.equal(world.simulators.fcm.counters.sends, sends)
  })
}

t.test('each verdict ends its own delivery and nobody else waits', async (t) => {
  const world = await useWorld(t)
  const { fcm } = world.simulators
  await world.putTenant('acme')
  await world.putTenant('broken', { nonsense: true })
  await world.startWorker()
  const good = await world.queue('acme', fcm.registerDevice().token)
  const dead = await world.queue('acme', 'never-registered')
  const late = await world.queue('acme', fcm.registerDevice().token, new Date(Date.now() - 1))
  const stuck = await world.queue('broken', fcm.registerDevice().token)
  await world.poison('acme')
  for (const job of [stuck, dead, late, good, good]) await world.job(job)

  await world.becomes(good, 'sent')
  await world.becomes(dead, 'failed')
  await world.becomes(late, 'expired')
  await world.becomes(stuck, 'retrying')
  await eventually(async () => (await world.read('DEAD_LETTERS', 'dlq.>')).length === 1)
  t.equal((await world.attempts(good)).length, 1, 'a job that comes twice is sent once')
  t.match(await world.rows('SELECT reason FROM deliveries WHERE id = $1', [stuck.deliveryId]), [
    { reason: 'CONFIGURATION' },
  ])
  await eventually(
    async () =>
      (await world.rows(`SELECT FROM devices WHERE id = $1 AND status = 'gone'`, [dead.device])).length === 1,
  )
})

t.test('a provider that is down for a moment is asked again', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  await world.startWorker()
  const job = await world.queue('acme', world.simulators.fcm.registerDevice().token)
  world.simulators.break('fcm')
  await world.job(job)
  await world.becomes(job, 'retrying')
  t.match(
    await world.rows('SELECT due_at > now() AS later FROM deliveries WHERE id = $1', [job.deliveryId]),
    [{ later: true }],
  )
  world.simulators.heal('fcm')
  await world.job(job)
  await world.becomes(job, 'sent')
  t.same(
    (await world.attempts(job)).map(({ verdict }) => verdict),
    ['retry', 'accepted'],
  )
})

t.test('refused credentials hold that provider of that tenant alone, and cost no attempt', async (t) => {
  const world = await useWorld(t)
  const { fcm } = world.simulators
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const revoked = privateKey.export({ type: 'pkcs8', format: 'pem' })
  await world.putTenant('acme')
  await world.putTenant('revoked', { ...(fcm.credentials as object), private_key: revoked })
  await world.startWorker()
  const stuck = await world.queue('revoked', fcm.registerDevice().token)
  const good = await world.queue('acme', fcm.registerDevice().token)
  await world.job(stuck)
  await world.job(good)
  await world.becomes(good, 'sent')
  await world.becomes(stuck, 'retrying')
  t.match(
    await world.rows('SELECT reason, max_attempts, attempt_no FROM deliveries WHERE id = $1', [
      stuck.deliveryId,
    ]),
    [{ reason: 'CONFIGURATION', max_attempts: 4, attempt_no: 1 }],
  )
  t.match(
    await world.rows('SELECT tenant_id, held_until > now() AS held FROM providers ORDER BY tenant_id'),
    [
      { tenant_id: 'acme', held: null },
      { tenant_id: 'revoked', held: true },
    ],
  )
})

t.test('when the addresses of an app die all at once, none is deleted', async (t) => {
  const world = await useWorld(t)
  await world.putTenant('acme')
  const jobs = []
  for (let n = 0; n < 25; n++) jobs.push(await world.queue('acme', `never-registered-${n}`))
  await Promise.all(jobs.map((job) => world.job(job)))
  await world.startWorker()
  for (const job of jobs) {
    await eventually(async () => (await world.attempts(job)).some(({ verdict }) => verdict !== null))
  }
  t.match(await world.rows(`SELECT count(*)::int AS gone FROM devices WHERE status <> 'active'`), [
    { gone: 0 },
  ])
  t.match(await world.rows(`SELECT count(*)::int AS kept FROM deliveries WHERE status = 'retrying'`), [
    { kept: 25 },
  ])
  t.match(await world.rows('SELECT held_until > now() AS held FROM providers'), [{ held: true }])
})
