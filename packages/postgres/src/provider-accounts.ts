import type { DeliveryChannel } from '@carillon/contracts'
import { momentArray, plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** What delivery workers know of accounts and devices, and what they mark on them. Worker role. */

/** A tenant's provider with its sealed credentials, for the workers. */
export interface ProviderAccount {
  tenant: string
  id: string
  kind: string
  app: string
  name: string
  credentials: Buffer
  settings: Record<string, unknown>
  status: 'active' | 'paused'
  heldUntil: Date | null
  heldReason: string | null
  updatedAt: Date
}

/** The providers of a batch's tenants. */
export async function loadProviders(
  tx: Pick<Tx, 'query'>,
  tenants: readonly string[],
  channel: DeliveryChannel,
): Promise<ProviderAccount[]> {
  const { rows } = await tx.query<ProviderAccount>({
    name: 'delivery-providers',
    text: `SELECT tenant_id AS tenant, id, kind, app, name, credentials, settings, status, held_until AS "heldUntil",
        held_reason AS "heldReason", updated_at AS "updatedAt"
      FROM providers WHERE tenant_id = ANY ($1::text[]) AND channel = $2 ORDER BY position, kind, app, name`,
    values: [textArray(tenants), channel],
  })
  return rows
}

/**
 * Holds one account: nothing is tried through it before that moment. Others go on. Credentials that were replaced
 * since `updatedAt` are not held for what the old ones did.
 */
export async function holdProvider(
  tx: Pick<Tx, 'query'>,
  provider: { tenant: string; id: string; updatedAt: Date; untilMs: number; reason: string },
): Promise<void> {
  await tx.query({
    text: `UPDATE providers SET held_until = $3, held_reason = $4 WHERE tenant_id = $1 AND id = $2
      AND date_trunc('milliseconds', updated_at) = $5`,
    values: [provider.tenant, provider.id, new Date(provider.untilMs), provider.reason, provider.updatedAt],
  })
}

/** Marks devices whose address the provider called dead, unless they were registered after that moment. */
export async function retireDevices(
  tx: Pick<Tx, 'query'>,
  devices: readonly {
    tenant: string
    id: string
    status: 'gone' | 'suspended'
    reason: string
    beforeMs: number
  }[],
): Promise<number> {
  const { rowCount } = await tx.query({
    text: `UPDATE devices d SET status = n.status, reason = n.reason, updated_at = now()
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS n (tenant_id, id, status, reason, before)
      WHERE d.tenant_id = n.tenant_id AND d.id = n.id AND d.registered_at <= n.before AND d.status = 'active'`,
    values: [
      textArray(devices.map((device) => device.tenant)),
      plainArray(devices.map((device) => device.id)),
      textArray(devices.map((device) => device.status)),
      textArray(devices.map((device) => device.reason)),
      momentArray(devices.map((device) => device.beforeMs)),
    ],
  })
  return rowCount
}
