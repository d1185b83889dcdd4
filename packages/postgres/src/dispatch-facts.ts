import type { Channel, TemplateKind, Weekday } from '@carillon/contracts'
import { plainArray, textArray } from './arrays.js'
import type { Tx } from './tx.js'

/** What the dispatcher looks up for a whole batch before it judges. All statements are for the worker role. */

export interface TenantRow {
  id: string
  epoch: number
  active: boolean
  locale: string
  timezone: string
}

/** When somebody isn't to be disturbed, as it is stored. */
export interface QuietHoursRow {
  windows: { from: string; to: string; days?: Weekday[] }[]
  /** Default: push and sms. */
  channels?: Channel[]
}

/** A cap on everything that reaches one person, as it is stored. */
export interface CapRow {
  count: number
  per: string
  channels?: Channel[]
}

/** Epoch and defaults of the tenants of a batch. Unknown ones are missing from the answer. */
export async function loadTenants(tx: Tx, ids: readonly string[]): Promise<TenantRow[]> {
  const { rows } = await tx.query<TenantRow>({
    text: `SELECT id, epoch, status = 'active' AS active, locale, timezone FROM tenants WHERE id = ANY ($1::text[])`,
    values: [textArray(ids)],
    name: 'dispatch-tenants',
  })
  return rows
}

export interface TenantRules {
  workflows: { key: string; version: number; definition: unknown }[]
  /** Versions that are judged beside the published ones, without sending. */
  shadows: { key: string; version: number; definition: unknown }[]
  templates: { key: string; kind: TemplateKind; locales: unknown }[]
  categories: { key: string; name: string; critical: boolean; defaults: Record<string, boolean> }[]
  defaults: { category: string | null; channel: string | null; enabled: boolean; condition: string | null }[]
  quietHours: QuietHoursRow | null
  caps: CapRow[]
  /** Events that some version waits for, and how their key is told. */
  awaited: { type: string; expression: string }[]
}

/** Published workflows and templates, categories and default preferences of one tenant. */
export async function loadTenantRules(tx: Tx, tenant: string): Promise<TenantRules> {
  const { rows } = await tx.query<TenantRules>({
    text: `SELECT
      (SELECT coalesce(json_agg(json_build_object('key', key, 'version', version, 'definition', definition) ORDER BY key), '[]')
         FROM workflows WHERE tenant_id = $1 AND status = 'published') AS workflows,
      (SELECT coalesce(json_agg(json_build_object('key', key, 'version', version, 'definition', definition) ORDER BY key), '[]')
         FROM workflows WHERE tenant_id = $1 AND status = 'shadow') AS shadows,
      (SELECT coalesce(json_agg(json_build_object('key', key, 'kind', kind, 'locales', locales) ORDER BY key), '[]')
         FROM templates WHERE tenant_id = $1 AND status = 'published') AS templates,
      (SELECT coalesce(json_agg(json_build_object('key', key, 'name', name, 'critical', critical, 'defaults', defaults) ORDER BY key), '[]')
         FROM categories WHERE tenant_id = $1) AS categories,
      (SELECT coalesce(json_agg(json_build_object('category', category, 'channel', channel, 'enabled', enabled, 'condition', condition)), '[]')
         FROM preferences WHERE tenant_id = $1 AND user_id IS NULL) AS defaults,
      (SELECT quiet_hours FROM tenants WHERE id = $1) AS "quietHours",
      (SELECT caps FROM tenants WHERE id = $1) AS caps,
      (SELECT coalesce(json_agg(json_build_object('type', type, 'expression', expression)), '[]')
         FROM awaited WHERE tenant_id = $1) AS awaited`,
    values: [tenant],
  })
  return rows[0] as TenantRules
}

/** One version of a workflow, published or not: a run keeps the version it began with. */
export async function loadWorkflowVersion(
  tx: Tx,
  workflow: { tenant: string; key: string; version: number },
): Promise<unknown> {
  const { rows } = await tx.query<{ definition: unknown }>({
    text: 'SELECT definition FROM workflows WHERE tenant_id = $1 AND key = $2 AND version = $3',
    values: [workflow.tenant, workflow.key, workflow.version],
  })
  return rows[0]?.definition
}

export interface UserKey {
  tenant: string
  id: string
}

export interface UserRow {
  tenant: string
  id: string
  externalId: string
  email: string | null
  phone: string | null
  name: string | null
  locale: string | null
  timezone: string | null
  roles: string[]
  attributes: unknown
  quietHours: QuietHoursRow | null
  active: boolean
}

/** Columns of `users u` that make a UserRow. */
export const PERSON = `u.tenant_id AS tenant, u.id, u.external_id AS "externalId", u.email, u.phone, u.name, u.locale, u.timezone,
  u.roles, u.attributes, u.quiet_hours AS "quietHours", u.status = 'active' AS active`

/** The users of a batch. Unknown ones are missing from the answer. */
export async function loadUsers(tx: Tx, keys: readonly UserKey[]): Promise<UserRow[]> {
  const { rows } = await tx.query<UserRow>({
    text: `SELECT ${PERSON}
      FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, id) JOIN users u USING (tenant_id, id)`,
    values: keyArrays(keys),
    name: 'dispatch-users',
  })
  return rows
}

export interface DeviceRow {
  tenant: string
  userId: string
  id: string
  kind: 'fcm' | 'apns' | 'webpush'
  app: string
  status: 'active' | 'suspended' | 'gone'
}

/** The devices of a batch's users, in a stable order. */
export async function loadDevices(tx: Tx, keys: readonly UserKey[]): Promise<DeviceRow[]> {
  const { rows } = await tx.query<DeviceRow>({
    text: `SELECT d.tenant_id AS tenant, d.user_id AS "userId", d.id, d.kind, d.app, d.status
      FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, user_id) JOIN devices d USING (tenant_id, user_id)
      WHERE d.status = 'active' ORDER BY d.id`,
    values: keyArrays(keys),
    name: 'dispatch-devices',
  })
  return rows
}

export interface PreferenceRow {
  tenant: string
  userId: string
  category: string | null
  channel: string | null
  enabled: boolean
  /** CEL; null: unconditional. */
  condition: string | null
}

/** What the users of a batch said themselves. */
export async function loadPreferences(tx: Tx, keys: readonly UserKey[]): Promise<PreferenceRow[]> {
  const { rows } = await tx.query<PreferenceRow>({
    text: `SELECT p.tenant_id AS tenant, p.user_id AS "userId", p.category, p.channel, p.enabled, p.condition
      FROM unnest($1::text[], $2::uuid[]) AS k (tenant_id, user_id) JOIN preferences p USING (tenant_id, user_id)`,
    values: keyArrays(keys),
    name: 'dispatch-preferences',
  })
  return rows
}

/** A user identified on the way, by an event or a trigger. Absent fields leave what is known. */
export interface InlineUser {
  tenant: string
  id: string
  externalId: string
  email?: string | undefined
  phone?: string | undefined
  name?: string | undefined
  locale?: string | undefined
  timezone?: string | undefined
  roles?: string[] | undefined
}

/** Creates or completes users; sorted by key, so that two batches can't lock each other. */
export async function upsertInlineUsers(tx: Tx, users: readonly InlineUser[]): Promise<void> {
  const sorted = [...users].sort((a, b) => compare(`${a.tenant} ${a.id}`, `${b.tenant} ${b.id}`))
  const column = (pick: (user: InlineUser) => string | undefined) =>
    textArray(sorted.map((user) => pick(user) ?? null))
  await tx.query({
    text: `INSERT INTO users (tenant_id, id, external_id, email, phone, name, locale, timezone, roles)
      SELECT t, i, x, e, p, n, l, z, coalesce(r::text[], '{}')
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
        AS k (t, i, x, e, p, n, l, z, r)
      ON CONFLICT (tenant_id, id) DO UPDATE SET
        email = coalesce(EXCLUDED.email, users.email), phone = coalesce(EXCLUDED.phone, users.phone),
        name = coalesce(EXCLUDED.name, users.name), locale = coalesce(EXCLUDED.locale, users.locale),
        timezone = coalesce(EXCLUDED.timezone, users.timezone),
        roles = CASE WHEN EXCLUDED.roles = '{}' THEN users.roles ELSE EXCLUDED.roles END, updated_at = now()`,
    values: [
      column((user) => user.tenant),
      plainArray(sorted.map((user) => user.id)),
      column((user) => user.externalId),
      column((user) => user.email),
      column((user) => user.phone),
      column((user) => user.name),
      column((user) => user.locale),
      column((user) => user.timezone),
      column((user) => (user.roles === undefined ? undefined : textArray(user.roles))),
    ],
  })
}

function keyArrays(keys: readonly UserKey[]): [string, string] {
  return [textArray(keys.map((key) => key.tenant)), plainArray(keys.map((key) => key.id))]
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
