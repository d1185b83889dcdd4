import { applyTopology, openConnection } from '@carillon/jetstream'
import {
  createApiKey,
  createLogins,
  createTenant,
  findTenant,
  migrate,
  openDatabase,
} from '@carillon/postgres'
import type { Progress } from '../terminal/progress.js'
import type { Engines } from './engines.js'
import type { MeshKeys } from './keys.js'
import { readTopology } from './topology-files.js'

export interface Storage {
  requestUrl: string
  workerUrl: string
}

/** Brings an empty or older database and an empty or older NATS to what this version needs. */
export async function prepareStorage(engines: Engines, keys: MeshKeys, progress: Progress): Promise<Storage> {
  return progress.step('schema and topology', async (say) => {
    const [logins] = await Promise.all([
      prepareDatabase(engines.ownerUrl, keys, say),
      prepareTopology(engines.natsUrl),
    ])
    return logins
  })
}

async function prepareDatabase(
  ownerUrl: string,
  keys: MeshKeys,
  say: (text: string) => void,
): Promise<Storage> {
  await migrate({ ownerUrl, onProgress: say })
  return createLogins({
    ownerUrl,
    requestLogin: { name: 'carillon_edge', password: keys.requestPassword },
    workerLogin: { name: 'carillon_workers', password: keys.workerPassword },
  })
}

async function prepareTopology(natsUrl: string): Promise<void> {
  await using connection = await openConnection({ servers: natsUrl, name: 'carillon-topology' })
  await applyTopology(connection, await readTopology('single'))
}

/** The tenant of a mesh that runs by `carillon up`. */
export const DEVELOPMENT_TENANT = 'demo'

const SCOPES = [
  'events:write',
  'notifications:write',
  'users:write',
  'users:read',
  'workflows:write',
  'inbox:read',
  'receipts:write',
  'channels:read',
  'channels:write',
  'admin',
] as const

/** Makes the development tenant and its API key unless they are there. Gives the key's full text. */
export async function prepareTenant(ownerUrl: string, knownKey: string | undefined): Promise<string> {
  await using database = openDatabase({ url: ownerUrl, max: 1, applicationName: 'carillon-up' })
  return database.inTenant(DEVELOPMENT_TENANT, async (tx) => {
    if ((await findTenant(tx, DEVELOPMENT_TENANT)) === undefined) {
      await createTenant(tx, { id: DEVELOPMENT_TENANT, name: 'Demonstration' })
    } else if (knownKey !== undefined) return knownKey
    const made = await createApiKey(tx, {
      tenant: DEVELOPMENT_TENANT,
      name: 'carillon up',
      scopes: [...SCOPES],
      environment: 'test',
    })
    return made.key
  })
}
