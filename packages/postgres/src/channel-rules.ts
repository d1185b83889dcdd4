import type { ChannelRule } from '@carillon/contracts'
import type { Queryable, Tx } from './tx.js'

/** How the rooms of a tenant's namespaces behave. Request role, one tenant. */

/** Most rules of a tenant, and the longest that their schemas may be together: all of them travel in one message. */
export const MAX_CHANNEL_RULES = 100
export const MAX_CHANNEL_SCHEMA_BYTES = 512 * 1024

export interface ChannelRuleRecord extends ChannelRule {
  updatedAt: Date
}

const RULE = 'namespace, authorise, allow, joins, schema, updated_at AS "updatedAt"'

/** All rules of a tenant, by namespace. */
export async function listChannelRules(tx: Queryable, tenant: string): Promise<ChannelRuleRecord[]> {
  const { rows } = await tx.query<ChannelRuleRecord>({
    text: `SELECT ${RULE} FROM channel_rules WHERE tenant_id = $1 ORDER BY namespace COLLATE "C"`,
    values: [tenant],
    name: 'channel-rules-of-tenant',
  })
  return rows
}

/** `full`: the tenant has too many rules, or its schemas are too long together; nothing was written. */
export type ChannelRuleChange =
  | { outcome: 'put'; created: boolean; rule: ChannelRuleRecord }
  | { outcome: 'full'; what: 'rules' | 'bytes' }

/** Puts the rule of a namespace in the place of the one before. */
export async function putChannelRule(tx: Tx, tenant: string, rule: ChannelRule): Promise<ChannelRuleChange> {
  // two writers at once would each see room for their own
  await tx.query({
    text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
    values: [`channel rules ${tenant}`],
  })
  const schema = rule.schema === null ? null : JSON.stringify(rule.schema)
  const { rows: sums } = await tx.query<{ rules: number; bytes: number }>({
    text: `SELECT count(*)::int AS rules, coalesce(sum(octet_length(schema::text)), 0)::int AS bytes
      FROM channel_rules WHERE tenant_id = $1 AND namespace <> $2`,
    values: [tenant, rule.namespace],
  })
  const { rules = 0, bytes = 0 } = sums[0] ?? {}
  if (rules >= MAX_CHANNEL_RULES) return { outcome: 'full', what: 'rules' }
  if (bytes + Buffer.byteLength(schema ?? '') > MAX_CHANNEL_SCHEMA_BYTES)
    return { outcome: 'full', what: 'bytes' }
  const { rows } = await tx.query<ChannelRuleRecord & { created: boolean }>({
    text: `INSERT INTO channel_rules (tenant_id, namespace, authorise, allow, joins, schema) VALUES ($1, $2, $3, $4, $5, $6)
      ON CONFLICT (tenant_id, namespace) DO UPDATE SET authorise = excluded.authorise, allow = excluded.allow,
        joins = excluded.joins, schema = excluded.schema, updated_at = now()
      RETURNING ${RULE}, xmax = 0 AS created`,
    values: [tenant, rule.namespace, rule.authorise, [...rule.allow], rule.joins, schema],
  })
  const { created, ...put } = rows[0] as ChannelRuleRecord & { created: boolean }
  return { outcome: 'put', created, rule: put }
}

/** True when there was one. */
export async function deleteChannelRule(
  tx: Queryable,
  rule: { tenant: string; namespace: string },
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM channel_rules WHERE tenant_id = $1 AND namespace = $2',
    values: [rule.tenant, rule.namespace],
  })
  return rowCount === 1
}
