import { createHash, randomBytes, randomInt } from 'node:crypto'
import type { Queryable, Tx } from './tx.js'

/** What an API key may do. `admin` may do everything. */
export const API_SCOPES = [
  'events:write',
  'notifications:write',
  'users:read',
  'users:write',
  'workflows:write',
  'inbox:read',
  'receipts:write',
  'channels:read',
  'channels:write',
  'admin',
] as const
export type ApiScope = (typeof API_SCOPES)[number]

export interface NewApiKey {
  tenant: string
  name: string
  scopes: readonly ApiScope[]
  /** `live` unless said; a part of the key, so that people see what they hold. */
  environment?: 'live' | 'test'
  expiresAt?: Date | undefined
}

const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789'
const ID_LENGTH = 16
const SECRET_BYTES = 32

/**
 * Makes an API key: `ck_<environment>_<id>_<secret>`. The whole key is shown once, here; only the SHA-256 of its
 * secret part is kept.
 */
export async function createApiKey(tx: Tx, key: NewApiKey): Promise<{ id: string; key: string }> {
  let id = ''
  for (let length = 0; length < ID_LENGTH; length++) id += ID_LETTERS[randomInt(ID_LETTERS.length)]
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  await tx.query({
    text: 'INSERT INTO api_keys (id, tenant_id, name, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6)',
    values: [id, key.tenant, key.name, hashSecret(secret), key.scopes, key.expiresAt],
  })
  return { id, key: `ck_${key.environment ?? 'live'}_${id}_${secret}` }
}

/** SHA-256 of a key's secret part: enough for 256 random bits. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

export interface FoundApiKey {
  tenant: string
  hash: Buffer
  scopes: string[]
  expiresAt: Date | null
  revokedAt: Date | null
  tenantStatus: 'active' | 'suspended'
}

/** Finds a key by its public id, before any tenant is known. Revoked and expired ones are found too. */
export async function findApiKey(database: Queryable, id: string): Promise<FoundApiKey | undefined> {
  const { rows } = await database.query<FoundApiKey>({
    text: `SELECT tenant_id AS tenant, hash, scopes, expires_at AS "expiresAt", revoked_at AS "revokedAt",
      tenant_status AS "tenantStatus" FROM find_api_key($1)`,
    values: [id],
    name: 'edge-find-api-key',
  })
  return rows[0]
}

export interface ApiKeyRecord {
  id: string
  name: string
  scopes: string[]
  createdAt: Date
  expiresAt: Date | null
  revokedAt: Date | null
}

export async function listApiKeys(tx: Tx, tenant: string): Promise<ApiKeyRecord[]> {
  const { rows } = await tx.query<ApiKeyRecord>({
    text: `SELECT id, name, scopes, created_at AS "createdAt", expires_at AS "expiresAt", revoked_at AS "revokedAt"
      FROM api_keys WHERE tenant_id = $1 ORDER BY created_at, id`,
    values: [tenant],
  })
  return rows
}

/** True when the key was alive. */
export async function revokeApiKey(tx: Tx, key: { tenant: string; id: string }): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL',
    values: [key.tenant, key.id],
  })
  return rowCount === 1
}
