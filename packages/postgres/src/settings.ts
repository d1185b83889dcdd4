import { lockTenantRules, raiseEpoch } from './directory.js'
import type { Tx } from './tx.js'

/** What a tenant and its users asked for: categories and preferences. Request role, one tenant. */

export interface Category {
  key: string
  name: string
  /** Can't be switched off. */
  critical: boolean
  /** Channel → on or off; a missing channel is on. */
  defaults: Record<string, boolean>
}

/** Puts a category and tells dispatchers. True when it is new. */
export async function putCategory(tx: Tx, tenant: string, category: Category): Promise<boolean> {
  await raiseEpoch(tx, tenant)
  const { rows } = await tx.query<{ created: boolean }>({
    text: `INSERT INTO categories (tenant_id, key, name, critical, defaults) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (tenant_id, key) DO UPDATE SET name = excluded.name, critical = excluded.critical, defaults = excluded.defaults
      RETURNING xmax = 0 AS created`,
    values: [tenant, category.key, category.name, category.critical, JSON.stringify(category.defaults)],
  })
  return rows[0]?.created === true
}

export async function listCategories(tx: Tx, tenant: string): Promise<Category[]> {
  const { rows } = await tx.query<Category>({
    text: 'SELECT key, name, critical, defaults FROM categories WHERE tenant_id = $1 ORDER BY key',
    values: [tenant],
  })
  return rows
}

/** null stands for every category, or every channel. The most exact rule wins. */
export interface PreferenceRule {
  category: string | null
  channel: string | null
  enabled: boolean
  /** CEL: the rule says `enabled` while it holds, and the contrary when it doesn't. */
  if: string | null
}

/** What a user said, or the tenant's default when `userId` is null. */
export async function listPreferences(
  tx: Tx,
  whose: { tenant: string; userId: string | null },
): Promise<PreferenceRule[]> {
  const { rows } = await tx.query<PreferenceRule>({
    text: `SELECT category, channel, enabled, condition AS "if" FROM preferences WHERE tenant_id = $1 AND user_id IS NOT DISTINCT FROM $2::uuid
      ORDER BY category NULLS FIRST, channel NULLS FIRST`,
    values: [whose.tenant, whose.userId],
  })
  return rows
}

/** Replaces all of them. No two rules may name the same category and channel. */
export async function replacePreferences(
  tx: Tx,
  whose: { tenant: string; userId: string | null },
  rules: readonly PreferenceRule[],
): Promise<void> {
  // the tenant's default is one of its rules; a user's own are read for every batch
  if (whose.userId === null) {
    await lockTenantRules(tx, whose.tenant)
    await raiseEpoch(tx, whose.tenant)
  } else {
    await tx.query({
      text: 'SELECT FROM users WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE',
      values: [whose.tenant, whose.userId],
    })
  }
  await tx.query({
    text: 'DELETE FROM preferences WHERE tenant_id = $1 AND user_id IS NOT DISTINCT FROM $2::uuid',
    values: [whose.tenant, whose.userId],
  })
  await tx.query({
    text: `INSERT INTO preferences (tenant_id, user_id, category, channel, enabled, condition)
      SELECT $1, $2::uuid, category, channel, enabled, "if"
      FROM json_to_recordset($3) AS r (category text, channel text, enabled boolean, "if" text)`,
    values: [whose.tenant, whose.userId, JSON.stringify(rules)],
  })
}

/** Says one thing of a person, whatever they said of it before. */
export async function putPreference(
  tx: Tx,
  preference: { tenant: string; userId: string; category: string | null; channel: string; enabled: boolean },
): Promise<void> {
  await tx.query({
    text: `INSERT INTO preferences (tenant_id, user_id, category, channel, enabled) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (tenant_id, user_id, category, channel)
      DO UPDATE SET enabled = excluded.enabled, condition = NULL, updated_at = now()`,
    values: [
      preference.tenant,
      preference.userId,
      preference.category,
      preference.channel,
      preference.enabled,
    ],
  })
}
