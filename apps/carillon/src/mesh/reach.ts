import { readFile } from 'node:fs/promises'
import { type Connection, openConnection } from '@carillon/jetstream'
import { type CarillonClient, connectHttp } from '@carillon/sdk'
import { CommandError, EXIT } from '../terminal/failure.js'
import { openMeshFolder } from './folder.js'
import { readKeys } from './keys.js'
import { holder } from './lock.js'

/** How commands reach a mesh: by CARILLON_URL and CARILLON_API_KEY, else the one that runs in this folder. */
export async function reachEdge(
  context: { base: string; env: NodeJS.ProcessEnv },
  source: string,
): Promise<CarillonClient> {
  return connectHttp({ ...(await reachAddress(context)), source, retry: ONE_TRY })
}

/** Where that mesh is, and the key for it. @throws CommandError when none runs here */
export async function reachAddress(context: {
  base: string
  env: NodeJS.ProcessEnv
}): Promise<{ url: string; apiKey: string }> {
  const { CARILLON_URL: url, CARILLON_API_KEY: apiKey } = context.env
  if (url !== undefined && apiKey !== undefined) return { url, apiKey }
  const folder = await openMeshFolder(context.base, context.env.CARILLON_DIR)
  const keys = await readKeys(folder.keys)
  const port = Number.parseInt(await readFile(folder.port, 'utf8').catch(() => ''), 10)
  if (keys.apiKey === undefined || !Number.isInteger(port) || (await holder(folder.lock)) === undefined) {
    throw new CommandError('No mesh runs here.', {
      remedy: 'Run npm start in another terminal, or set CARILLON_URL and CARILLON_API_KEY.',
      exitCode: EXIT.usage,
    })
  }
  return { url: `http://127.0.0.1:${port}`, apiKey: keys.apiKey }
}

/** A person waits for the answer: a second try soon, no more. */
const ONE_TRY = { attempts: 2, baseMs: 100, maxMs: 500 }

/** Address of NATS: from the environment, else of the mesh that runs in this folder. @throws CommandError */
export async function reachNats(context: { base: string; env: NodeJS.ProcessEnv }): Promise<string> {
  if (context.env.NATS_URL !== undefined) return context.env.NATS_URL
  const addresses = await readAddresses(context)
  return addresses.natsUrl
}

/**
 * A connection to that NATS, under the nkey user of NATS_NKEY_SEED where the server asks for one.
 * @throws CommandError when none runs here · ConnectionError
 */
export async function connectNats(
  context: { base: string; env: NodeJS.ProcessEnv },
  name: string,
): Promise<Connection> {
  const { NATS_NKEY_SEED: seed, NATS_INBOX_PREFIX: inboxPrefix } = context.env
  return openConnection({
    servers: await reachNats(context),
    name,
    ...(seed === undefined ? {} : { credentials: { kind: 'nkey', seed } }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  })
}

/** Addresses of the engines that `carillon up` runs in this folder. @throws CommandError when it doesn't run */
export async function readAddresses(context: { base: string; env: NodeJS.ProcessEnv }): Promise<{
  natsUrl: string
  ownerUrl: string
  redisUrl: string
}> {
  const folder = await openMeshFolder(context.base, context.env.CARILLON_DIR)
  // a mesh that was killed leaves its addresses behind
  const text =
    (await holder(folder.lock)) === undefined
      ? undefined
      : await readFile(folder.addresses, 'utf8').catch(() => undefined)
  if (text === undefined) {
    throw new CommandError('No mesh runs here.', {
      remedy: 'Run npm start in another terminal, or set NATS_URL, DATABASE_OWNER_URL and REDIS_URL.',
      exitCode: EXIT.usage,
    })
  }
  return JSON.parse(text)
}
