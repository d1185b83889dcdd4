import { readFile } from 'node:fs/promises'
import { eventSubject, jobStream, type Lane, userId } from '@carillon/contracts'
import {
  applyTopology,
  backlogOf,
  type Connection,
  createPublisher,
  loadTopology,
  type OutgoingMessage,
  openConnection,
  type Publisher,
  readSubject,
  streamState,
} from '@carillon/jetstream'
import { createLogins, type Database, migrate, openDatabase } from '@carillon/postgres'
import type { RedisConnection } from '@carillon/redis'
import {
  createFailpoint,
  createHealth,
  createLogger,
  createMetrics,
  readConfig,
  type Service,
  sha256,
} from '@carillon/service'
import { eventually, useNats, usePostgres } from '@carillon/testkit'
import { DispatcherConfig, start } from '../src/index.js'

export const TENANT = 'acme'

interface Scope {
  teardown(close: () => unknown): void
}

/** Real engines with topology and schema, one tenant, and everything a test of the dispatcher asks for. */
export interface Mesh {
  natsUrl: string
  workerUrl: string
  connection: Connection
  /** Worker role, as the dispatcher has it. */
  database: Database
  /** The owner, for arranging and looking. */
  owner: Database
  publisher: Publisher
  nats: Awaited<ReturnType<typeof useNats>>
  startDispatcher(overrides?: Record<string, string>, redis?: RedisConnection): Promise<Service>
  /** Publishes CloudEvents in binary mode. */
  publish(...events: TestEvent[]): Promise<void>
  putWorkflow(definition: Record<string, unknown>): Promise<void>
  putUser(externalId: string, user?: { email?: string; locale?: string; roles?: string[] }): Promise<string>
  putDevice(user: string, app?: string): Promise<void>
  jobs(channel: 'push' | 'email' | 'webhook', lane?: Lane): Promise<{ deliveryId: string; runId: string }[]>
  frames(user: string): Promise<{ type: string; id: string }[]>
  deadLetters(): Promise<{ reason: string; subject: string }[]>
  rows<R>(text: string, values?: unknown[]): Promise<R[]>
}

export interface TestEvent {
  type: string
  id: string
  data?: unknown
  source?: string
  tenant?: string
  lane?: Lane
  time?: string
}

export function eventMessage(event: TestEvent): OutgoingMessage {
  return {
    subject: eventSubject(event.lane ?? 'normal', event.tenant ?? TENANT, event.type),
    body: JSON.stringify(event.data ?? {}),
    headers: {
      'ce-specversion': '1.0',
      'ce-id': event.id,
      'ce-source': event.source ?? '/test',
      'ce-type': event.type,
      ...(event.time === undefined ? {} : { 'ce-time': event.time }),
    },
  }
}

const LOGINS = {
  requestLogin: { name: 'test_dispatcher_request', password: 'request' },
  workerLogin: { name: 'test_dispatcher_worker', password: 'worker' },
}

/** @param overlay topology settings of this test alone, as YAML */
export async function useMesh(t: Scope, overlay = '{}'): Promise<Mesh> {
  const [nats, postgres] = await Promise.all([
    useNats(t),
    usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon' }),
  ])
  const { workerUrl } = await createLogins({ ownerUrl: postgres.url, ...LOGINS })
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  const database = openDatabase({ url: workerUrl, max: 8 })
  const owner = openDatabase({ url: postgres.url, max: 4 })
  const publisher = createPublisher(connection)
  t.teardown(async () => {
    await publisher[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  await applyTopology(
    connection,
    loadTopology(await file('topology.yaml'), [await file('environments/single.yaml'), overlay]),
  )
  await owner.query({ text: `INSERT INTO tenants (id, name) VALUES ($1, 'Acme')`, values: [TENANT] })
  const rows = async <R>(text: string, values: unknown[] = []) =>
    (await owner.query<R>({ text, values })).rows
  const read = async (stream: string, subject: string) =>
    readSubject(connection, { stream, subject, fromSequence: 1, limit: 10_000 })
  const json = <T>(body: Uint8Array) => JSON.parse(Buffer.from(body).toString()) as T
  return {
    natsUrl: nats.url,
    workerUrl,
    connection,
    database,
    owner,
    publisher,
    nats,
    rows,
    async startDispatcher(overrides = {}, redis) {
      const service = await start(
        readConfig(DispatcherConfig, {
          env: { CARILLON_WAKE_EVERY_MS: '20', CARILLON_ENVIRONMENT: 'development', ...overrides },
        }),
        {
          connection,
          database,
          failpoint: createFailpoint(undefined, { production: false }),
          logger: createLogger({ name: 'dispatcher', level: 'silent' }),
          metrics: createMetrics(),
          health: createHealth(),
          ...(redis === undefined ? {} : { redis }),
        },
      )
      t.teardown(() => service[Symbol.asyncDispose]())
      return service
    },
    async publish(...events) {
      for (const event of events) await publisher.publish('EVENTS', eventMessage(event))
    },
    async putWorkflow(definition) {
      await rows(`INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, 1, $3)`, [
        TENANT,
        definition.key,
        JSON.stringify(definition),
      ])
      await rows('UPDATE tenants SET epoch = epoch + 1 WHERE id = $1', [TENANT])
    },
    async putUser(externalId, user = {}) {
      const id = userId(sha256, TENANT, externalId)
      await rows(
        `INSERT INTO users (tenant_id, id, external_id, email, locale, roles) VALUES ($1, $2, $3, $4, $5, $6)`,
        [TENANT, id, externalId, user.email ?? null, user.locale ?? null, user.roles ?? []],
      )
      return id
    },
    async putDevice(user, app = 'default') {
      await rows(
        `INSERT INTO devices (tenant_id, id, user_id, kind, app, address, address_hash)
         VALUES ($1, gen_random_uuid(), $2, 'fcm', $3, '{"token":"t"}', uuid_send(gen_random_uuid()))`,
        [TENANT, user, app],
      )
    },
    async jobs(channel, lane = 'normal') {
      const messages = await read(jobStream(channel), `job.${channel}.${lane}.${TENANT}`)
      return messages.map((message) => json<{ deliveryId: string; runId: string }>(message.body))
    },
    async frames(user) {
      const messages = await read('LIVE', `rt.${TENANT}.user.${user}`)
      return messages.map((message) => json<{ type: string; id: string }>(message.body))
    },
    async deadLetters() {
      const messages = await read('DEAD_LETTERS', 'dlq.>')
      return messages.map((message) => ({
        reason: message.headers.get('carillon-reason') ?? '',
        subject: message.headers.get('carillon-subject') ?? '',
      }))
    },
  }
}

/** What waits for a moment has reached it: waits, and digests whose windows are open. */
export async function passTime(mesh: Mesh): Promise<void> {
  // the windows first: a digest that wakes before its window is over goes on waiting
  await mesh.rows(`UPDATE open_digests SET closes_at = now() - interval '1 second'`)
  await mesh.rows(
    `UPDATE runs SET wake_at = now(), resume_at = now() - interval '1 second' WHERE state = 'waiting'`,
  )
}

/** Resolves once every lane's durable has nothing left. */
export async function dispatched(mesh: Mesh): Promise<void> {
  await eventually(async () => {
    const backlogs = await Promise.all(
      ['high', 'normal', 'bulk'].map((lane) =>
        backlogOf(mesh.connection, { stream: 'EVENTS', durable: `dispatcher-${lane}` }),
      ),
    )
    const { lastSequence } = await streamState(mesh.connection, 'EVENTS')
    const handledTo = Math.max(...backlogs.map((backlog) => backlog.acknowledgedTo))
    return handledTo >= lastSequence && backlogs.every((backlog) => backlog.waiting + backlog.inFlight === 0)
  })
}
