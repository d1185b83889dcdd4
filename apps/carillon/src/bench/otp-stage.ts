import { randomBytes } from 'node:crypto'
import { sealCredentials } from '@carillon/channels'
import { launch, selfIdentity } from '@carillon/engines'
import { arrange, CALLER_ID, TENANT } from './broadcast-data.js'
import type { BenchEngines } from './engines.js'
import type { Child } from './push-child.js'
import type { SimulatorsQuestion, Stage } from './push-simulators.js'
import { NODE_FLAGS } from './worker.js'

/** As long as a provider on another continent takes to answer. */
const LATENCY_MS = 50

/** What the roles read their configuration from. */
export type Env = Readonly<Record<string, string>>

const CODE = {
  key: 'otp',
  on: 'otp.v1',
  to: 'data.user',
  lane: 'high',
  content: { title: '{{ data.code }}' },
  steps: ['push'],
}

/**
 * The stage of the broadcast suite, with the FCM simulator behind it: one token rings for everybody's phone, another
 * for the caller's, which is watched. Gives the environment of the roles.
 */
export async function arrangeCodes(
  { owner, nats, workerUrl }: BenchEngines,
  simulators: Child,
  users: number,
): Promise<Env> {
  const start: SimulatorsQuestion = { ask: 'start', latencyMs: LATENCY_MS, devices: 2 }
  const stage = await simulators.ask<Stage>(start)
  const [everybody, caller] = stage.addresses.fcm
  if (everybody?.kind !== 'fcm' || caller?.kind !== 'fcm')
    throw new Error('The FCM simulator has no devices.')
  await simulators.ask({ ask: 'watch', device: caller.token } satisfies SimulatorsQuestion)
  await arrange(owner, users, everybody.token)
  const masterKey = randomBytes(32)
  const run = (text: string, values: unknown[]) => owner.query({ text, values })
  await run(
    `INSERT INTO devices (tenant_id, id, user_id, kind, address, address_hash)
     VALUES ($1, gen_random_uuid(), $2, 'fcm', $3, uuid_send($2))`,
    [TENANT, CALLER_ID, JSON.stringify({ token: caller.token })],
  )
  await run('INSERT INTO workflows (tenant_id, key, version, definition) VALUES ($1, $2, 1, $3)', [
    TENANT,
    CODE.key,
    JSON.stringify(CODE),
  ])
  await run(`INSERT INTO providers (tenant_id, channel, kind, credentials) VALUES ($1, 'push', 'fcm', $2)`, [
    TENANT,
    sealCredentials(masterKey, stage.credentials.fcm, { tenant: TENANT, provider: 'fcm' }),
  ])
  return {
    NATS_URL: nats.url,
    DATABASE_WORKER_URL: workerUrl,
    CARILLON_ENVIRONMENT: 'development',
    CARILLON_MASTER_KEY: masterKey.toString('base64url'),
    CARILLON_RECEIPT_KEY: randomBytes(32).toString('base64url'),
    CARILLON_PROVIDER_SETTINGS: JSON.stringify(stage.settings),
  }
}

/** Delivery and history, a process each. */
export async function startRoles(env: Env): Promise<{ pids: { delivery: number } } & AsyncDisposable> {
  const start = async (role: string) =>
    launch({
      engine: role,
      command: [process.execPath, ...NODE_FLAGS, mainOf(role)],
      env: { ...process.env, ...env },
      identity: await selfIdentity('SIGKILL'),
      ready: /process\.started/,
      stopSignal: 'SIGTERM',
    })
  const history = await start('history')
  const delivery = await start('delivery').catch(async (error: unknown) => {
    await history.stop()
    throw error
  })
  return {
    pids: { delivery: delivery.pid },
    async [Symbol.asyncDispose]() {
      await delivery.stop()
      await history.stop()
    },
  }
}

function mainOf(role: string): string {
  return new URL('main.js', import.meta.resolve(`@carillon/${role}`)).pathname
}
