import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'

/** What holds for people of whom nothing else is known. */
export interface TenantSettings {
  id: string
  name: string
  locale: string
  timezone: string
}

/** Changes what is given, leaves the rest, and tells dispatchers. Undefined for a tenant that isn't there. */
export async function changeTenantSettings(
  tx: Tx,
  tenant: string,
  changes: { name?: string | undefined; locale?: string | undefined; timezone?: string | undefined },
): Promise<TenantSettings | undefined> {
  await lockTenantRules(tx, tenant)
  const { rows } = await tx.query<TenantSettings>({
    text: `UPDATE tenants SET name = coalesce($2, name), locale = coalesce($3, locale), timezone = coalesce($4, timezone)
      WHERE id = $1 RETURNING id, name, locale, timezone`,
    values: [tenant, changes.name, changes.locale, changes.timezone],
  })
  await raiseEpoch(tx, tenant)
  return rows[0]
}
