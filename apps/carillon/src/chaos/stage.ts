import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DELIVERY_CHANNELS, deliveryDurable, dispatcherDurable, jobStream } from '@carillon/contracts'
import { type EngineServer, startNats, startPostgres, startRedis } from '@carillon/engines'
import {
  applyTopology,
  backlogOf,
  type Connection,
  createPublisher,
  openConnection,
  type Publisher,
  streamState,
} from '@carillon/jetstream'
import { createLogins, type Database, maintain, migrate, openDatabase } from '@carillon/postgres'
import { type Simulators, startSimulators } from '@carillon/simulators'
import { Disposal } from '../mesh/disposal.js'
import { readTopology } from '../mesh/topology-files.js'
import type { Progress } from '../terminal/progress.js'
import { createRoleProcess, type RoleProcess } from './role-process.js'

/** Everything that is under fire: engines, roles as processes, providers, one tenant with what was arranged for it. */
export interface Stage<A = unknown> extends AsyncDisposable {
  tenant: string
  arranged: A
  roles: RoleProcess[]
  engines: { name: string; server: EngineServer }[]
  simulators: Simulators
  /** How often each delivery rang, counted as it rings: the simulators forget. */
  rung: Map<string, number>
  /** The owner's, for looking. */
  database: Database
  publisher: Publisher
  connection: Connection
}

/** What tenants are arranged with. */
export interface Arranging {
  database: Database
  simulators: Simulators
  masterKey: Buffer
  tenant: string
}

const TENANT = 'chaos'
/** What a dead worker held comes again after this, so that a short run sees recovery too. */
const ACK_WAIT = 'defaults: { consumer: { ack_wait: 5s } }'

export async function startStage<A>(
  folder: string,
  progress: Progress,
  plan: { roles: readonly string[]; arrange(arranging: Arranging): Promise<A> },
): Promise<Stage<A>> {
  await using parts = new Disposal()
  const nats = await progress.step('NATS', () =>
    startNats({ dataDir: join(folder, 'nats'), maxStore: '20G' }),
  )
  parts.defer(() => nats.stop())
  const postgres = await progress.step('PostgreSQL', () =>
    startPostgres({ dataDir: join(folder, 'postgres') }),
  )
  parts.defer(() => postgres.stop())
  const redis = await progress.step('Redis', () => startRedis({ dataDir: join(folder, 'redis') }))
  parts.defer(() => redis.stop())
  await migrate({ ownerUrl: postgres.url })
  const logins = await createLogins({
    ownerUrl: postgres.url,
    requestLogin: { name: 'chaos_request', password: 'chaos-request' },
    workerLogin: { name: 'chaos_worker', password: 'chaos-worker' },
  })
  const connection = parts.use(await openConnection({ servers: nats.url, name: 'chaos' }))
  await applyTopology(connection, await readTopology('single', [ACK_WAIT]))
  const simulators = parts.use(await startSimulators({ allow: 'development' }))
  const rung = new Map<string, number>()
  simulators.inbox.onMessage(({ did }) => {
    if (did !== undefined) rung.set(did, (rung.get(did) ?? 0) + 1)
  })
  const database = parts.use(openDatabase({ url: postgres.url, max: 2, applicationName: 'chaos' }))
  const masterKey = randomBytes(32)
  await maintain(database, { daysAhead: 1, retainDays: 30 })
  const arranged = await plan.arrange({ database, simulators, masterKey, tenant: TENANT })
  const env = {
    NATS_URL: nats.url,
    REDIS_URL: redis.url,
    DATABASE_URL: logins.requestUrl,
    DATABASE_WORKER_URL: logins.workerUrl,
    CARILLON_ENVIRONMENT: 'development',
    CARILLON_MASTER_KEY: masterKey.toString('base64url'),
    CARILLON_RECEIPT_KEY: randomBytes(32).toString('base64url'),
    CARILLON_TOKEN_KEY: randomBytes(32).toString('base64url'),
    CARILLON_PROVIDER_SETTINGS: JSON.stringify(simulators.settingsForChannels),
    CARILLON_DELIVERY_LEASE_MS: '10000',
    CARILLON_RESPOOL_AFTER_MS: '10000',
    CARILLON_RETRY_BASE_MS: '500',
    CARILLON_MAX_ATTEMPTS: '10',
  }
  const roles = plan.roles.map((role) => createRoleProcess(role, env))
  parts.defer(() => Promise.all(roles.map((role) => role.stop())))
  await progress.step('roles', () => Promise.all(roles.map((role) => role.start())))
  const publisher = parts.use(createPublisher(connection, { giveUpMs: 20_000 }))
  const owned = parts.move()
  return {
    tenant: TENANT,
    arranged,
    roles,
    engines: [
      { name: 'nats', server: nats },
      { name: 'postgres', server: postgres },
      { name: 'redis', server: redis },
    ],
    simulators,
    rung,
    database,
    publisher,
    connection,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  }
}

/** So long it may take to go on, and so many times that to come to an end: a busy machine is slow, not stuck. */
const STUCK_AFTER_MS = 120_000
const LONGEST = 5

/**
 * Waits until nothing is on its way any more: no event unhandled, no delivery open, no receipt missing. Gives up when
 * nothing has changed for so long.
 */
export async function quiet(
  stage: Pick<Stage, 'connection' | 'database' | 'tenant'>,
  stuckAfterMs = STUCK_AFTER_MS,
): Promise<{ ok: boolean; left: string[] }> {
  const endsAt = performance.now() + LONGEST * stuckAfterMs
  let changedAt = performance.now()
  let before = ''
  for (;;) {
    const left = await whatIsLeft(stage).catch((error: unknown) => [String(error)])
    if (left.length === 0) return { ok: true, left }
    const now = performance.now()
    if (left.join() !== before) changedAt = now
    before = left.join()
    if (now > endsAt || now - changedAt > stuckAfterMs) return { ok: false, left }
    await sleep(200)
  }
}

async function whatIsLeft(stage: Pick<Stage, 'connection' | 'database' | 'tenant'>): Promise<string[]> {
  const left: string[] = []
  for (const durable of [
    { stream: 'EVENTS', durable: dispatcherDurable('normal') },
    { stream: 'RECEIPTS', durable: 'history' },
    { stream: 'AUDIT', durable: 'audit' },
  ]) {
    const { acknowledgedTo } = await backlogOf(stage.connection, durable)
    const { lastSequence } = await streamState(stage.connection, durable.stream)
    if (acknowledgedTo < lastSequence)
      left.push(`${lastSequence - acknowledgedTo} messages of ${durable.durable}`)
  }
  for (const channel of DELIVERY_CHANNELS) {
    const durable = deliveryDurable(channel, 'normal')
    // a job that is left may still have an end to tell
    const { waiting, inFlight } = await backlogOf(stage.connection, { stream: jobStream(channel), durable })
    if (waiting + inFlight > 0) left.push(`${waiting + inFlight} jobs of ${durable}`)
  }
  const { rows } = await stage.database.query<{ open: number }>({
    text: `SELECT count(*)::int AS open FROM deliveries WHERE tenant_id = $1 AND status IN ('queued', 'sending', 'retrying')`,
    values: [stage.tenant],
  })
  const open = rows[0]?.open ?? 0
  if (open > 0) left.push(`${open} deliveries`)
  const waiting = await stage.database.query<{ waiting: number }>({
    text: 'SELECT count(*)::int AS waiting FROM runs WHERE tenant_id = $1 AND wake_at IS NOT NULL',
    values: [stage.tenant],
  })
  const runs = waiting.rows[0]?.waiting ?? 0
  if (runs > 0) left.push(`${runs} runs that wait`)
  return left
}
