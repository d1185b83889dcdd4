import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Provider, sealCredentials } from '@carillon/channels'
import {
  type DeliveryChannel,
  deliveryDurable,
  deliveryId,
  jobStream,
  jobSubject,
  timedUuid,
  userId,
} from '@carillon/contracts'
import {
  applyTopology,
  backlogOf,
  createPublisher,
  loadTopology,
  openConnection,
  readSubject,
  subscribeCore,
} from '@carillon/jetstream'
import { createLogins, deleteUser, maintain, migrate, openDatabase } from '@carillon/postgres'
import { sha256 } from '@carillon/service'
import { startSimulators } from '@carillon/simulators'
import { eventually, useNats, useNodeProcess, usePostgres } from '@carillon/testkit'
import type { Test } from 'tap'

const MAIN = new URL('../src/main.js', import.meta.url).pathname
const PROVIDER_OF: Readonly<Record<DeliveryChannel, Provider>> = {
  push: 'fcm',
  email: 'smtp',
  sms: 'sms',
  webhook: 'webhook',
}
const MASTER_KEY = randomBytes(32)
export const RECEIPT_KEY = randomBytes(32)

/** A delivery that waits for its job. */
export interface Queued {
  runId: string
  deliveryId: string
  tenant: string
  device: string
}

/** Real engines and simulated providers, with workers as processes of their own. */
export async function useWorld(
  t: Test,
  channel: DeliveryChannel = 'push',
  provider: Provider = PROVIDER_OF[channel],
) {
  const [nats, postgres, simulators] = await Promise.all([
    useNats(t),
    usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon' }),
    startSimulators({ allow: 'development' }),
  ])
  t.teardown(() => simulators[Symbol.asyncDispose]())
  const { workerUrl, requestUrl } = await createLogins({
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
  const topology = loadTopology(await file('topology.yaml'), [
    await file('environments/single.yaml'),
    'defaults: { consumer: { ack_wait: 1s } }',
  ])
  await applyTopology(connection, topology)
  await maintain(owner, { daysAhead: 1, retainDays: 30 })
  const rows = async <R>(text: string, values: unknown[] = []) =>
    (await owner.query<R>({ text, values })).rows
  const sandbox = provider === 'apns' ? { environment: 'sandbox' } : {}
  let place = 0
  const queueTo = async (
    tenant: string,
    [kind, address]: readonly [kind: string, address: string],
    content: Record<string, unknown>,
    expiresAt: Date | null,
  ) => {
    const user = userId(sha256, tenant, 'ada')
    const run = timedUuid(Date.now(), sha256(`run ${place++}`))
    const id = deliveryId(sha256, { run, step: 1, address })
    await rows(
      `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state, plan, content, in_inbox, created_at)
         VALUES ($1, $2, $1, 'w', 1, $3, 'ada', 'normal', 'done', '[]', $4, true, now())`,
      [run, tenant, user, JSON.stringify('inbox' in content ? content : { inbox: content })],
    )
    await rows(
      `INSERT INTO deliveries (run_id, id, tenant_id, user_id, channel, lane, step, address_kind, address, expires_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 'normal', 1, $6, $7, $8, now(), now())`,
      [run, id, tenant, user, channel, kind, address, expiresAt],
    )
    return { runId: run, deliveryId: id, tenant }
  }
  const world = {
    simulators,
    rows,
    startWorker: (failpoint?: string, env: Record<string, string> = {}) =>
      useNodeProcess(t, {
        script: MAIN,
        ready: /process\.started/,
        env: {
          NATS_URL: nats.url,
          DATABASE_WORKER_URL: workerUrl,
          CARILLON_ENVIRONMENT: 'development',
          CARILLON_DELIVERY_CHANNELS: channel,
          CARILLON_RETRY_BASE_MS: '10',
          CARILLON_HOLD_MS: '600000',
          CARILLON_MASTER_KEY: MASTER_KEY.toString('base64url'),
          CARILLON_RECEIPT_KEY: RECEIPT_KEY.toString('base64url'),
          CARILLON_PUBLIC_URL: 'https://bells.example',
          CARILLON_PROVIDER_SETTINGS: JSON.stringify(simulators.settingsForChannels),
          // the rows of who dies are soon free; who lives is never taken for dead, however slow the machine
          ...(failpoint === undefined
            ? {}
            : { CARILLON_FAILPOINT: failpoint, CARILLON_DELIVERY_LEASE_MS: '500' }),
          ...env,
        },
      }),
    async putTenant(tenant: string, credentials?: unknown) {
      await rows('INSERT INTO tenants (id, name) VALUES ($1, $1)', [tenant])
      await world.putAccount(tenant, { credentials: credentials ?? simulators.credentials[provider] })
      const user = userId(sha256, tenant, 'ada')
      await rows(`INSERT INTO users (tenant_id, id, external_id) VALUES ($1, $2, 'ada')`, [tenant, user])
    },
    /** One more account of the channel's provider; gives its id. */
    async putAccount(
      tenant: string,
      account: { name?: string; position?: number; credentials: unknown; settings?: object },
    ): Promise<string> {
      const [row] = await rows<{ id: string }>(
        `INSERT INTO providers (tenant_id, channel, kind, name, position, credentials, settings)
           VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
        [
          tenant,
          channel,
          provider,
          account.name ?? 'default',
          account.position ?? 0,
          sealCredentials(MASTER_KEY, account.credentials, { tenant, provider }),
          JSON.stringify(account.settings ?? {}),
        ],
      )
      return row?.id ?? ''
    },
    /** One delivery to one device, queued, with everything behind it. */
    async queue(
      tenant: string,
      token: string,
      expiresAt: Date | null = null,
      content: Record<string, unknown> = { title: 'Hello', body: 'x' },
    ): Promise<Queued> {
      const device = randomUUID()
      await rows(
        `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash) VALUES ($1, $2, $3, $6, $4, $5)`,
        [
          tenant,
          device,
          userId(sha256, tenant, 'ada'),
          JSON.stringify({ token, ...sandbox }),
          Buffer.from(device),
          provider,
        ],
      )
      return {
        ...(await queueTo(tenant, ['device', device], content, expiresAt)),
        device,
      }
    },
    /** One text to one number, queued. */
    text: (tenant: string, phone: string, content: Record<string, string> = { title: 'Hello', body: 'x' }) =>
      queueTo(tenant, ['phone', phone], content, null),
    /** One mail to one mailbox, queued. */
    mail: (tenant: string, mailbox: string) =>
      queueTo(tenant, ['email', mailbox], { title: 'Hello', body: 'x' }, null),
    job: (job: { runId: string; deliveryId: string; tenant: string }) =>
      publisher.publish(jobStream(channel), {
        subject: jobSubject(channel, 'normal', job.tenant),
        body: JSON.stringify({ runId: job.runId, deliveryId: job.deliveryId }),
      }),
    /** As the gateway does it. */
    async deletePerson(tenant: string) {
      await using database = openDatabase({ url: requestUrl, max: 1 })
      const id = userId(sha256, tenant, 'ada')
      return database.inTenant(tenant, (tx) => deleteUser(tx, { tenant, id }))
    },
    /** Receipts are refused until `heal` is called; `tried` counts the attempts. */
    async refuseReceipts() {
      const streams = topology.streams.map((stream) =>
        stream.name === 'RECEIPTS' ? { ...stream, config: { ...stream.config, max_msg_size: 10 } } : stream,
      )
      await applyTopology(connection, { ...topology, streams })
      let tried = 0
      subscribeCore(connection, 'rcp.>', () => tried++)
      await connection.flush()
      return { tried: () => tried, heal: () => applyTopology(connection, topology) }
    },
    /** Has all these jobs handled in one batch: they come while every slot of the worker waits for its first statement. */
    async jobsTogether(jobs: readonly Queued[], plugs: readonly Queued[]) {
      await owner.inTransaction(async (tx) => {
        await tx.query({ text: 'LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE' })
        for (const [index, plug] of plugs.entries()) {
          await world.job(plug)
          await eventually(async () => {
            const waiting = await rows(
              `SELECT FROM pg_locks WHERE relation = 'deliveries'::regclass AND NOT granted`,
            )
            return waiting.length === index + 1
          })
        }
        await Promise.all(jobs.map((job) => world.job(job)))
        await eventually(async () => {
          const { inFlight } = await backlogOf(connection, {
            stream: jobStream(channel),
            durable: deliveryDurable(channel, 'normal'),
          })
          return inFlight === plugs.length + jobs.length
        })
      })
    },
    poison: (tenant: string) =>
      publisher.publish(jobStream(channel), { subject: jobSubject(channel, 'normal', tenant), body: '{' }),
    /** Its next attempt is due now. */
    hurry: (job: { deliveryId: string }) =>
      rows(`UPDATE deliveries SET due_at = now() WHERE id = $1 AND status = 'retrying'`, [job.deliveryId]),
    /** Queues the row again whenever it waits, sooner than the waker would, until it has ended. */
    drive: (job: { runId: string; deliveryId: string; tenant: string }, status: string) =>
      eventually(async () => {
        const [row] = await rows<{ status: string }>('SELECT status FROM deliveries WHERE id = $1', [
          job.deliveryId,
        ])
        if (row?.status === 'retrying') await world.hurry(job)
        if (row?.status === 'queued' || row?.status === 'retrying') await world.job(job)
        return row?.status === status
      }),
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
