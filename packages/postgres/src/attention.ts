import { lockTenantRules, raiseEpoch } from './directory.js'
import type { CapRow, QuietHoursRow } from './dispatch-facts.js'
import type { Tx } from './tx.js'

/** When people aren't to be disturbed, and how often at most. Request role, one tenant. */

export interface QuietHoursRecord {
  /** The person's own; null: the tenant's hold. */
  own: QuietHoursRow | null
  tenant: QuietHoursRow | null
  timezone: string
}

/** Of a person, or of the tenant alone when `userId` is null. Undefined for somebody who isn't known. */
export async function findQuietHours(
  tx: Tx,
  whose: { tenant: string; userId: string | null },
): Promise<QuietHoursRecord | undefined> {
  const { rows } = await tx.query<QuietHoursRecord>({
    text: `SELECT u.quiet_hours AS own, t.quiet_hours AS tenant, coalesce(u.timezone, t.timezone) AS timezone
      FROM tenants t LEFT JOIN users u ON u.tenant_id = t.id AND u.id = $2
      WHERE t.id = $1 AND ($2::uuid IS NULL OR u.id IS NOT NULL)`,
    values: [whose.tenant, whose.userId],
  })
  return rows[0]
}

/** Puts quiet hours; null takes a person's own away, or the tenant's. False for somebody who isn't known. */
export async function putQuietHours(
  tx: Tx,
  whose: { tenant: string; userId: string | null },
  hours: QuietHoursRow | null,
): Promise<boolean> {
  const value = hours === null ? null : JSON.stringify(hours)
  if (whose.userId !== null) {
    const { rowCount } = await tx.query({
      text: 'UPDATE users SET quiet_hours = $3, updated_at = now() WHERE tenant_id = $1 AND id = $2',
      values: [whose.tenant, whose.userId, value],
    })
    return rowCount === 1
  }
  await lockTenantRules(tx, whose.tenant)
  await tx.query({
    text: 'UPDATE tenants SET quiet_hours = $2 WHERE id = $1',
    values: [whose.tenant, value],
  })
  await raiseEpoch(tx, whose.tenant)
  return true
}

/** The caps on what reaches one person across all workflows. */
export async function findCaps(tx: Tx, tenant: string): Promise<CapRow[]> {
  const { rows } = await tx.query<{ caps: CapRow[] }>({
    text: 'SELECT caps FROM tenants WHERE id = $1',
    values: [tenant],
  })
  return rows[0]?.caps ?? []
}

export async function putCaps(tx: Tx, tenant: string, caps: readonly CapRow[]): Promise<void> {
  await lockTenantRules(tx, tenant)
  await tx.query({
    text: 'UPDATE tenants SET caps = $2 WHERE id = $1',
    values: [tenant, JSON.stringify(caps)],
  })
  await raiseEpoch(tx, tenant)
}
