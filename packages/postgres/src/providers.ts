import type { Tx } from './tx.js'

/** A tenant's accounts at providers. Request role, one tenant. */

/** A provider as it may be shown: its credentials stay where they are. */
export interface ProviderRecord {
  id: string
  channel: string
  kind: string
  app: string
  /** Tells several accounts of one kind and app apart. */
  name: string
  settings: Record<string, unknown>
  /** Order in which accounts are used; lower is sooner. */
  position: number
  status: 'active' | 'paused'
  heldUntil: Date | null
  heldReason: string | null
  /** Since when its credentials are in force. */
  updatedAt: Date
}

/** Names one account of a tenant. */
export interface ProviderName {
  tenant: string
  kind: string
  app: string
  name: string
}

const PROVIDER = `id, channel, kind, app, name, settings, position, status, held_until AS "heldUntil", held_reason AS "heldReason",
  updated_at AS "updatedAt"`
const NAMED = 'tenant_id = $1 AND kind = $2 AND app = $3 AND name = $4'

function namedBy({ tenant, kind, app, name }: ProviderName): string[] {
  return [tenant, kind, app, name]
}

/** What may be said of an account besides its credentials. What is left out stays as it is. */
export interface ProviderChange {
  settings?: unknown
  position?: number | undefined
  status?: 'active' | 'paused' | undefined
}

function changed({ settings, position, status }: ProviderChange): unknown[] {
  return [settings === undefined ? null : JSON.stringify(settings), position, status]
}

/** Puts the credentials of one account, and what else is said of it. New credentials lift a hold. */
export async function putProvider(
  tx: Tx,
  provider: ProviderChange & {
    tenant: string
    channel: string
    kind: string
    app?: string | undefined
    name?: string | undefined
    /** Sealed. */
    credentials: Uint8Array
  },
): Promise<ProviderRecord & { created: boolean }> {
  const { app = 'default', name = 'default' } = provider
  const { rows } = await tx.query<ProviderRecord & { created: boolean }>({
    text: `INSERT INTO providers AS p (tenant_id, kind, app, name, settings, position, status, channel, credentials)
      VALUES ($1, $2, $3, $4, coalesce($5::jsonb, '{}'), coalesce($6, 0), coalesce($7, 'active'), $8, $9)
      ON CONFLICT (tenant_id, kind, app, name) DO UPDATE SET channel = excluded.channel, credentials = excluded.credentials,
        settings = coalesce($5::jsonb, p.settings), position = coalesce($6, p.position), status = coalesce($7, p.status),
        held_until = NULL, held_reason = NULL, updated_at = now()
      RETURNING ${PROVIDER}, xmax = 0 AS created`,
    values: [
      ...namedBy({ ...provider, app, name }),
      ...changed(provider),
      provider.channel,
      provider.credentials,
    ],
  })
  return rows[0] as ProviderRecord & { created: boolean }
}

/** Changes an account without its credentials, so what is connected stays connected. Undefined when there is none. */
export async function changeProvider(
  tx: Tx,
  provider: ProviderName & ProviderChange,
): Promise<ProviderRecord | undefined> {
  const { rows } = await tx.query<ProviderRecord>({
    text: `UPDATE providers SET settings = coalesce($5::jsonb, settings), position = coalesce($6, position),
        status = coalesce($7, status)
      WHERE ${NAMED} RETURNING ${PROVIDER}`,
    values: [...namedBy(provider), ...changed(provider)],
  })
  return rows[0]
}

/** Ends a pause and lifts a hold: the account is used again at once. Undefined when there is none. */
export async function resumeProvider(tx: Tx, provider: ProviderName): Promise<ProviderRecord | undefined> {
  const { rows } = await tx.query<ProviderRecord>({
    text: `UPDATE providers SET status = 'active', held_until = NULL, held_reason = NULL WHERE ${NAMED} RETURNING ${PROVIDER}`,
    values: namedBy(provider),
  })
  return rows[0]
}

/** The sealed credentials of one account by its name. Undefined when there is none. */
export async function sealedProvider(tx: Tx, provider: ProviderName): Promise<Buffer | undefined> {
  const { rows } = await tx.query<{ credentials: Buffer }>({
    text: `SELECT credentials FROM providers WHERE ${NAMED}`,
    values: namedBy(provider),
  })
  return rows[0]?.credentials
}

/** Who signs what a provider tells back: the sealed credentials of one account. Undefined when it is gone. */
export async function findProviderCredentials(
  tx: Tx,
  provider: { tenant: string; id: string; kind: string },
): Promise<Buffer | undefined> {
  const { rows } = await tx.query<{ credentials: Buffer }>({
    text: 'SELECT credentials FROM providers WHERE tenant_id = $1 AND id = $2 AND kind = $3',
    values: [provider.tenant, provider.id, provider.kind],
  })
  return rows[0]?.credentials
}

export async function listProviders(tx: Tx, tenant: string): Promise<ProviderRecord[]> {
  const { rows } = await tx.query<ProviderRecord>({
    text: `SELECT ${PROVIDER} FROM providers WHERE tenant_id = $1 ORDER BY channel, position, kind, app, name`,
    values: [tenant],
  })
  return rows
}

/** True when there was one. */
export async function deleteProvider(tx: Tx, provider: ProviderName): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `DELETE FROM providers WHERE ${NAMED}`,
    values: namedBy(provider),
  })
  return rowCount === 1
}
