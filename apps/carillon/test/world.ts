import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { DELIVERY_CHANNELS, deliveryDurable, dispatcherDurable, jobStream, LANES } from '@carillon/contracts'
import {
  applyTopology,
  backlogOf,
  type Connection,
  createPublisher,
  openConnection,
  type Publisher,
  readSubject,
  streamState,
} from '@carillon/jetstream'
import {
  createApiKey,
  createLogins,
  createTenant,
  type Database,
  migrate,
  openDatabase,
} from '@carillon/postgres'
import { type CarillonClient, connectHttp } from '@carillon/sdk'
import { type Simulators, startSimulators } from '@carillon/simulators'
import {
  type NodeProcess,
  type TestScope,
  useNats,
  useNodeProcess,
  usePostgres,
  useRedis,
} from '@carillon/testkit'
import { readTopology } from '../src/mesh/topology-files.js'

const CLI = new URL('../../bin/carillon.mjs', import.meta.url).pathname

export const TENANT = 'acme'
/** Names of the people whom `introduce` makes known, each with a phone and a mailbox. */
export const PEOPLE = ['ada', 'bob', 'eve'] as const

/** A mesh of real processes, to be killed one by one. */
export interface World {
  /** Address of gateway and realtime. */
  url: string
  /** Of an administrator. */
  apiKey: string
  /** With which tokens of people are signed, base64url. */
  tokenKey: string
  carillon: CarillonClient
  nats: Awaited<ReturnType<typeof useNats>>
  postgres: { restart(): Promise<void> }
  connection: Connection
  publisher: Publisher
  simulators: Simulators
  /** How often each delivery rang, counted as it rings. */
  rung: Map<string, number>
  rows<R>(text: string, values?: unknown[]): Promise<R[]>
  /** One process with these roles. */
  start(roles: string, env?: Record<string, string>): Promise<NodeProcess>
  deadLetters(): Promise<{ reason: string; subject: string }[]>
}

const LOGINS = {
  requestLogin: { name: 'test_world_request', password: 'request' },
  workerLogin: { name: 'test_world_worker', password: 'worker' },
}

const secret = () => randomBytes(32).toString('base64url')

/**
 * Real engines and simulated providers, gateway and realtime as one process, one tenant with people. The other roles are
 * for the test to start. A message that a dead worker held comes again after `ackWait`.
 */
export async function useWorld(t: TestScope, ackWait = '2s'): Promise<World> {
  const [nats, redis, postgres, simulators] = await Promise.all([
    useNats(t, { maxStore: '20G' }),
    useRedis(t),
    usePostgres(t, { migrate: (ownerUrl) => migrate({ ownerUrl }), template: 'carillon', durable: true }),
    startSimulators({ allow: 'development' }),
  ])
  t.teardown(() => simulators[Symbol.asyncDispose]())
  const { requestUrl, workerUrl } = await createLogins({ ownerUrl: postgres.url, ...LOGINS })
  const connection = await openConnection({ servers: nats.url, name: 'test' })
  const owner = openDatabase({ url: postgres.url, max: 3 })
  const publisher = createPublisher(connection)
  t.teardown(async () => {
    await publisher[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await owner[Symbol.asyncDispose]()
  })
  await applyTopology(
    connection,
    await readTopology('single', [`defaults: { consumer: { ack_wait: ${ackWait} } }`]),
  )
  const rung = new Map<string, number>()
  simulators.inbox.onMessage(({ did }) => {
    if (did !== undefined) rung.set(did, (rung.get(did) ?? 0) + 1)
  })
  const tokenKey = secret()
  const shared = {
    NATS_URL: nats.url,
    REDIS_URL: redis.url,
    DATABASE_URL: requestUrl,
    DATABASE_WORKER_URL: workerUrl,
    CARILLON_PORT: '0',
    CARILLON_ENVIRONMENT: 'development',
    CARILLON_MASTER_KEY: secret(),
    CARILLON_RECEIPT_KEY: secret(),
    CARILLON_TOKEN_KEY: tokenKey,
    CARILLON_PROVIDER_SETTINGS: JSON.stringify(simulators.settingsForChannels),
    CARILLON_WAKE_EVERY_MS: '50',
    CARILLON_RETRY_BASE_MS: '200',
    CARILLON_RESPOOL_AFTER_MS: '3000',
    CARILLON_DELIVERY_LEASE_MS: '5000',
    CARILLON_MAX_ATTEMPTS: '10',
    CARILLON_LOG_LEVEL: 'info',
  }
  const start = (roles: string, env: Record<string, string> = {}) =>
    useNodeProcess(t, {
      script: CLI,
      args: ['serve', `--roles=${roles}`],
      env: { ...shared, ...env },
      ready: /"msg":"http\.listening"/,
    })
  const apiKey = await createKey(owner)
  const edge = await start('gateway,realtime')
  const url = /"url":"([^"]+)"/.exec(await edge.line(/http\.listening/))?.[1] ?? ''
  const carillon = connectHttp({ url, apiKey, source: '/test' })
  t.teardown(() => carillon[Symbol.asyncDispose]())
  await introduce(carillon, simulators)
  return {
    url,
    apiKey,
    tokenKey,
    carillon,
    nats,
    postgres: { restart: async () => postgres.server?.restart() },
    connection,
    publisher,
    simulators,
    rung,
    start,
    rows: async <R>(text: string, values: unknown[] = []) => (await owner.query<R>({ text, values })).rows,
    async deadLetters() {
      const read = { stream: 'DEAD_LETTERS', subject: 'dlq.>', fromSequence: 1, limit: 1_000 }
      return (await readSubject(connection, read)).map(({ headers }) => ({
        reason: headers.get('carillon-reason') ?? '',
        subject: headers.get('carillon-subject') ?? '',
      }))
    },
  }
}

function createKey(owner: Database): Promise<string> {
  const scopes = [
    'events:write',
    'users:write',
    'users:read',
    'workflows:write',
    'inbox:read',
    'admin',
  ] as const
  return owner.inTenant(TENANT, async (tx) => {
    await createTenant(tx, { id: TENANT, name: 'Acme' })
    return (await createApiKey(tx, { tenant: TENANT, name: 'test', scopes: [...scopes] })).key
  })
}

async function introduce(carillon: CarillonClient, simulators: Simulators): Promise<void> {
  const credentials = { ...simulators.credentials, webhook: { secrets: [simulators.webhook.secret] } }
  for (const kind of ['fcm', 'smtp', 'webhook'] as const) {
    await carillon.call('PUT', `/v1/providers/${kind}`, { credentials: credentials[kind] })
  }
  for (const name of PEOPLE) {
    await carillon.putUser(name, { email: `${name}@example.com` })
    const { token } = simulators.fcm.registerDevice({ name })
    await carillon.putDevice(name, 'phone', { kind: 'fcm', token })
  }
}

/** Streams that are handled when their last message is acknowledged by one of these. */
const HANDLED = {
  events: { stream: 'EVENTS', durables: LANES.map(dispatcherDurable) },
  receipts: { stream: 'RECEIPTS', durables: ['history'] },
  audit: { stream: 'AUDIT', durables: ['audit'] },
}

/** So long it may take to go on, and so many times that to come to an end: a busy machine is slow, not stuck. */
const STUCK_AFTER_MS = 120_000
const LONGEST = 5

type Looking = Pick<World, 'connection' | 'rows'>

/** Resolves once nothing is on its way any more. @throws Error with what is left once nothing changes */
export async function quiet(world: Looking): Promise<void> {
  const endsAt = performance.now() + LONGEST * STUCK_AFTER_MS
  let changedAt = performance.now()
  let before = ''
  for (;;) {
    const left = await nothingLeft(world).then(
      () => undefined,
      (error: unknown) => String(error),
    )
    if (left === undefined) return
    const now = performance.now()
    if (left !== before) changedAt = now
    before = left
    if (now > endsAt || now - changedAt > STUCK_AFTER_MS) throw new Error(`It does not become quiet: ${left}`)
    await sleep(100)
  }
}

/**
 * No event unhandled, no delivery open, no job that may still have an end to tell, no receipt and no fact unread: looks
 * in this order, in which each makes the next.
 */
async function nothingLeft({ connection, rows }: Looking): Promise<void> {
  await eventsHandled(connection)
  const open = await rows<{ status: string; count: number }>(
    `SELECT status, count(*)::int AS count FROM deliveries WHERE status IN ('queued', 'sending', 'retrying') GROUP BY 1`,
  )
  if (open.length > 0) throw new Error(`deliveries open: ${JSON.stringify(open)}`)
  for (const channel of DELIVERY_CHANNELS) {
    for (const lane of LANES)
      await acknowledged(connection, { stream: jobStream(channel), durable: deliveryDurable(channel, lane) })
  }
  await allHandled(connection, HANDLED.receipts)
  await allHandled(connection, HANDLED.audit)
}

/** @throws Error while events wait or are in flight */
export function eventsHandled(connection: Connection): Promise<void> {
  return allHandled(connection, HANDLED.events)
}

/** @throws Error while messages wait or are in flight, one that was stored a moment ago and is not counted yet too */
async function allHandled(
  connection: Connection,
  { stream, durables }: { stream: string; durables: readonly string[] },
): Promise<void> {
  const { lastSequence } = await streamState(connection, stream)
  let acknowledgedTo = 0
  for (const durable of durables)
    acknowledgedTo = Math.max(acknowledgedTo, await acknowledged(connection, { stream, durable }))
  if (acknowledgedTo < lastSequence)
    throw new Error(`${stream}: acknowledged to ${acknowledgedTo} of ${lastSequence}`)
}

/** Gives up to where all is acknowledged. */
async function acknowledged(
  connection: Connection,
  durable: { stream: string; durable: string },
): Promise<number> {
  const { waiting, inFlight, acknowledgedTo } = await backlogOf(connection, durable)
  if (waiting + inFlight > 0) throw new Error(`${durable.durable}: ${waiting} waiting, ${inFlight} in flight`)
  return acknowledgedTo
}

/** Every page of a person's inbox, newest first. */
export async function wholeInbox(url: string, token: string): Promise<{ id: string; title: string }[]> {
  const all: { id: string; title: string }[] = []
  for (let before = ''; ; ) {
    const answer = await fetch(`${url}/v1/inbox?limit=100${before === '' ? '' : `&before=${before}`}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (!answer.ok) throw new Error(`the inbox answers ${answer.status}: ${await answer.text()}`)
    const page = (await answer.json()) as {
      notifications: { id: string; title: string }[]
      next: string | null
    }
    all.push(...page.notifications)
    if (page.next === null) return all
    before = page.next
  }
}
