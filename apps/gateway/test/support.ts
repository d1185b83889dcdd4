import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { frameSubject, runId, userId } from '@carillon/contracts'
import {
  applyTopology,
  type Connection,
  loadTopology,
  openConnection,
  readSubject,
} from '@carillon/jetstream'
import {
  type ApiScope,
  createApiKey,
  createLogins,
  createTenant,
  type Database,
  migrate,
  openDatabase,
} from '@carillon/postgres'
import {
  createHealth,
  createHttpServer,
  createLogger,
  createMetrics,
  readConfig,
  sha256,
} from '@carillon/service'
import { useNats, usePostgres } from '@carillon/testkit'
import type { InjectOptions } from 'fastify'
import { GatewayConfig, start } from '../src/index.js'

interface Scope {
  teardown(close: () => unknown): void
}

/** JSON of whatever shape, to look into. */
export interface Json {
  [name: string]: Json
}

export interface Answer {
  status: number
  headers: Record<string, unknown>
  /** The body of an answer that isn't JSON. */
  page: string
  body: Json
}

/** A text of an answer. */
export const text = (value: Json | undefined): string => String(value)
/** A list of an answer. */
export const list = (value: Json | undefined): Json[] => value as unknown as Json[]

export interface TestEdge {
  nats: Awaited<ReturnType<typeof useNats>>
  connection: Connection
  owner: Database
  /** Address of the workers' login. */
  workerUrl: string
  receiptKey: Buffer
  /** Lets the gateway finish what is in flight, as when it stops. */
  drain(): Promise<void>
  /** A key of a tenant with these scopes. */
  key(tenant: string, ...scopes: ApiScope[]): Promise<string>
  /** A request with a key or token. Objects are sent as JSON. */
  call(
    credential: string | undefined,
    line: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>
  /** Everything that was stored under a subject, oldest first. */
  stored(stream: string, subject: string): Promise<{ body: string; headers: ReadonlyMap<string, string> }[]>
  /** Frames of a user by external id. */
  frames(tenant: string, user: string): Promise<Record<string, unknown>[]>
  /** A notification in somebody's inbox, as the dispatcher would have stored it; `minute` orders them. */
  notify(tenant: string, user: string, minute: number): Promise<string>
}

const LOGINS = {
  requestLogin: { name: 'test_gateway_request', password: 'request' },
  workerLogin: { name: 'test_gateway_worker', password: 'worker' },
}

/** The gateway on real engines with two tenants, acme and globex; `now` is its clock. */
export async function useEdge(
  t: Scope,
  overrides: Record<string, string> = {},
  now: () => number = Date.now,
): Promise<TestEdge> {
  const [nats, postgres] = await Promise.all([
    useNats(t),
    usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon' }),
  ])
  const { requestUrl, workerUrl } = await createLogins({ ownerUrl: postgres.url, ...LOGINS })
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  const database = openDatabase({ url: requestUrl, max: 6 })
  const owner = openDatabase({ url: postgres.url, max: 2 })
  const file = (name: string) => readFile(new URL(`../../../../nats/${name}`, import.meta.url), 'utf8')
  await applyTopology(
    connection,
    loadTopology(await file('topology.yaml'), [await file('environments/single.yaml')]),
  )
  for (const id of ['acme', 'globex']) await owner.inTenant(id, (tx) => createTenant(tx, { id, name: id }))
  // what tests say was an hour ago was yesterday, or last month, just after midnight
  await owner.query({ text: `SELECT ensure_partitions(1, now() - interval '1 day')` })
  const logger = createLogger({ name: 'gateway', level: 'silent' })
  const deps = { logger, metrics: createMetrics(), health: createHealth() }
  // how busy the machine is is not what is tested
  const http = await createHttpServer({ ...deps, maxEventLoopDelayMs: 30_000 })
  const receiptKey = randomBytes(32)
  const secret = () => randomBytes(32).toString('base64url')
  const config = readConfig(GatewayConfig, {
    env: {
      CARILLON_TOKEN_KEY: secret(),
      CARILLON_MASTER_KEY: secret(),
      CARILLON_RECEIPT_KEY: receiptKey.toString('base64url'),
      ...overrides,
    },
  })
  const position = async () => ({ epoch: 'e1', offset: 7 })
  const service = await start(config, { ...deps, connection, database, http, position, now })
  t.teardown(async () => {
    await http.close()
    await service[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  return {
    nats,
    connection,
    owner,
    workerUrl,
    receiptKey,
    drain: () => service.drain(),
    async key(tenant, ...scopes) {
      return (await database.inTenant(tenant, (tx) => createApiKey(tx, { tenant, name: 'test', scopes }))).key
    },
    async call(credential, line, body, headers = {}) {
      const [method = 'GET', url = '/'] = line.split(' ')
      const asText = typeof body === 'string'
      const answer = await http.inject({
        method: method as NonNullable<InjectOptions['method']>,
        url,
        headers: {
          ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: asText ? body : JSON.stringify(body) }),
      })
      const isJson = String(answer.headers['content-type'] ?? '').includes('json')
      return {
        status: answer.statusCode,
        headers: answer.headers,
        page: isJson ? '' : answer.payload,
        body: isJson && answer.payload !== '' ? answer.json<Json>() : {},
      }
    },
    async stored(stream, subject) {
      const messages = await readSubject(connection, { stream, subject, fromSequence: 1, limit: 1_000 })
      return messages.map((message) => ({
        body: Buffer.from(message.body).toString(),
        headers: message.headers,
      }))
    },
    async frames(tenant, user) {
      const subject = frameSubject(tenant, 'user', userId(sha256, tenant, user))
      const messages = await readSubject(connection, {
        stream: 'LIVE',
        subject,
        fromSequence: 1,
        limit: 1_000,
      })
      return messages.map((message) => JSON.parse(Buffer.from(message.body).toString()))
    },
    async notify(tenant, user, minute) {
      const at = Date.now() - 3_600_000 + minute * 60_000
      const recipient = userId(sha256, tenant, user)
      const id = runId(sha256, { firstSeenMs: at, eventRow: randomUUID(), workflow: 'w', recipient })
      await owner.query({
        text: `INSERT INTO runs (id, tenant_id, event_id, workflow_key, workflow_version, user_id, recipient, lane, state,
            plan, content, in_inbox, created_at)
          VALUES ($1, $2, $1, 'w', 1, $3, $4, 'normal', 'completed', $5, $6, true, to_timestamp($7 / 1000.0))`,
        values: [
          id,
          tenant,
          recipient,
          user,
          JSON.stringify([
            {
              at,
              steps: [{ step: 0, type: 'inbox', outcome: 'deliver', detail: 'nothing stands against it' }],
            },
          ]),
          JSON.stringify({ inbox: { title: `t${minute}`, body: 'b' } }),
          at,
        ],
      })
      return id
    },
  }
}
