import type { Engines } from './engines.js'
import type { MeshKeys } from './keys.js'
import type { Storage } from './storage.js'

/** The environment that every role of a mesh reads its configuration from. */
export type MeshEnvironment = Readonly<Record<string, string | undefined>>

/** What `carillon up` tells the roles: the same variables that a deployment sets. */
export function meshEnvironment(parts: {
  env: MeshEnvironment
  engines: Engines
  storage: Storage
  keys: MeshKeys
  publicUrl: string
  providerSettings: unknown
}): MeshEnvironment {
  const { env, engines, storage, keys, publicUrl } = parts
  return {
    // an account whose credentials were refused is tried again while somebody still looks
    CARILLON_HOLD_MS: '10000',
    ...env,
    NATS_URL: engines.natsUrl,
    REDIS_URL: engines.redisUrl,
    DATABASE_OWNER_URL: engines.ownerUrl,
    DATABASE_URL: storage.requestUrl,
    DATABASE_WORKER_URL: storage.workerUrl,
    CARILLON_ENVIRONMENT: 'development',
    CARILLON_PUBLIC_URL: publicUrl,
    CARILLON_TOKEN_KEY: keys.tokenKey,
    CARILLON_MASTER_KEY: keys.masterKey,
    CARILLON_RECEIPT_KEY: keys.receiptKey,
    CARILLON_PROVIDER_SETTINGS: JSON.stringify(parts.providerSettings),
  }
}
