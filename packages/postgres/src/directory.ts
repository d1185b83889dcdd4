import { plainArray, textArray } from './arrays.js'
import { withdrawForgotten } from './forgetting.js'
import type { Queryable, Tx } from './tx.js'

/** Who exists: tenants, users and their devices. One tenant a transaction (request role). */

export interface Tenant {
  id: string
  name: string
  status: 'active' | 'suspended'
  locale: string
  timezone: string
  /** Raised by every change of a workflow, template, category or default. */
  epoch: number
}

/**
 * Makes a tenant unless it is there; true when it was made. `id` is a token of subjects: a-z, 0-9 and "-". For the
 * owner's login, inside `inTenant(id, …)`: no request makes a tenant.
 */
export async function createTenant(
  tx: Queryable,
  tenant: { id: string; name: string; locale?: string; timezone?: string },
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `INSERT INTO tenants (id, name, locale, timezone) VALUES ($1, $2, coalesce($3, 'en'), coalesce($4, 'UTC'))
      ON CONFLICT (id) DO NOTHING`,
    values: [tenant.id, tenant.name, tenant.locale, tenant.timezone],
  })
  return rowCount === 1
}

export async function findTenant(tx: Tx, tenant: string): Promise<Tenant | undefined> {
  const { rows } = await tx.query<Tenant>({
    text: 'SELECT id, name, status, locale, timezone, epoch FROM tenants WHERE id = $1',
    values: [tenant],
  })
  return rows[0]
}

/** Tells dispatchers to reload the tenant's rules. Its lock orders the changes of one tenant's rules. */
export async function raiseEpoch(tx: Tx, tenant: string): Promise<void> {
  await tx.query({ text: 'UPDATE tenants SET epoch = epoch + 1 WHERE id = $1', values: [tenant] })
}

/** Waits until no other transaction changes this tenant's rules. */
export async function lockTenantRules(tx: Tx, tenant: string): Promise<void> {
  await tx.query({ text: 'SELECT FROM tenants WHERE id = $1 FOR NO KEY UPDATE', values: [tenant] })
}

/**
 * Whether a signed-in person may still do something: both must be active. A user nobody has stored is `null`; one who was
 * deleted, and not stored again, is `deleted` for as long as `maintain` remembers it.
 */
export interface Standing {
  tenant: 'active' | 'suspended'
  user: 'active' | 'suspended' | 'deleted' | null
}

/** Undefined when there is no such tenant. */
export async function findStanding(
  tx: Tx,
  who: { tenant: string; userId: string },
): Promise<Standing | undefined> {
  const { rows } = await tx.query<Standing>({
    text: `SELECT t.status AS tenant, coalesce(u.status, CASE WHEN d.id IS NOT NULL THEN 'deleted' END) AS user
      FROM tenants t LEFT JOIN users u ON u.tenant_id = t.id AND u.id = $2
        LEFT JOIN deleted_users d ON d.tenant_id = t.id AND d.id = $2 WHERE t.id = $1`,
    values: [who.tenant, who.userId],
    name: 'edge-standing',
  })
  return rows[0]
}

/**
 * Those of some users who may do nothing any more: suspended, deleted, or all of a tenant that is suspended or not there.
 * One statement for any number of tenants, each of which is read as that tenant alone, so no transaction is needed.
 */
export async function findFallen(
  database: Queryable,
  people: readonly { tenant: string; userId: string }[],
): Promise<string[]> {
  const { rows } = await database.query<{ id: string }>({
    text: 'SELECT id FROM find_fallen($1, $2) AS fallen (id)',
    values: [textArray(people.map(({ tenant }) => tenant)), plainArray(people.map(({ userId }) => userId))],
    name: 'edge-fallen',
  })
  return rows.map(({ id }) => id)
}

/** What the outside says of a user. An absent field stays as it is, null clears it. */
export interface UserProfile {
  email?: string | null
  phone?: string | null
  name?: string | null
  locale?: string | null
  timezone?: string | null
  roles?: readonly string[]
  attributes?: Readonly<Record<string, unknown>>
  status?: 'active' | 'suspended'
}

export interface UserRecord {
  id: string
  externalId: string
  email: string | null
  phone: string | null
  name: string | null
  locale: string | null
  timezone: string | null
  roles: string[]
  attributes: Record<string, unknown>
  status: 'active' | 'suspended'
  createdAt: Date
  updatedAt: Date
}

const USER = `id, external_id AS "externalId", email, phone, name, locale, timezone, roles, attributes, status,
  created_at AS "createdAt", updated_at AS "updatedAt"`

/** Puts a user. `id` is the derived internal id. */
export async function putUser(
  tx: Tx,
  who: { tenant: string; id: string; externalId: string },
  profile: UserProfile,
): Promise<UserRecord & { created: boolean }> {
  const { rows } = await tx.query<UserRecord & { created: boolean }>({
    text: `INSERT INTO users (tenant_id, id, external_id, email, phone, name, locale, timezone, roles, attributes, status)
      SELECT $1, $2, $3, p ->> 'email', p ->> 'phone', p ->> 'name', p ->> 'locale', p ->> 'timezone',
        ARRAY(SELECT jsonb_array_elements_text(coalesce(p -> 'roles', '[]'))), coalesce(p -> 'attributes', '{}'),
        coalesce(p ->> 'status', 'active')
      FROM (SELECT $4::jsonb AS p) AS given
      ON CONFLICT (tenant_id, id) DO UPDATE SET
        email = CASE WHEN $4::jsonb ? 'email' THEN excluded.email ELSE users.email END,
        phone = CASE WHEN $4::jsonb ? 'phone' THEN excluded.phone ELSE users.phone END,
        name = CASE WHEN $4::jsonb ? 'name' THEN excluded.name ELSE users.name END,
        locale = CASE WHEN $4::jsonb ? 'locale' THEN excluded.locale ELSE users.locale END,
        timezone = CASE WHEN $4::jsonb ? 'timezone' THEN excluded.timezone ELSE users.timezone END,
        roles = CASE WHEN $4::jsonb ? 'roles' THEN excluded.roles ELSE users.roles END,
        attributes = CASE WHEN $4::jsonb ? 'attributes' THEN excluded.attributes ELSE users.attributes END,
        status = CASE WHEN $4::jsonb ? 'status' THEN excluded.status ELSE users.status END,
        updated_at = now()
      RETURNING ${USER}, xmax = 0 AS created`,
    values: [who.tenant, who.id, who.externalId, JSON.stringify(profile)],
  })
  return rows[0] as UserRecord & { created: boolean }
}

export async function findUser(
  tx: Tx,
  user: { tenant: string; id: string },
): Promise<UserRecord | undefined> {
  const { rows } = await tx.query<UserRecord>({
    text: `SELECT ${USER} FROM users WHERE tenant_id = $1 AND id = $2`,
    values: [user.tenant, user.id],
  })
  return rows[0]
}

/** A page of users by external id; `after` is the last external id of the page before. */
export async function listUsers(
  tx: Tx,
  page: { tenant: string; after?: string | undefined; role?: string | undefined; limit: number },
): Promise<UserRecord[]> {
  const { rows } = await tx.query<UserRecord>({
    text: `SELECT ${USER} FROM users
      WHERE tenant_id = $1 AND external_id > coalesce($2, '') AND ($3::text IS NULL OR roles @> ARRAY[$3])
      ORDER BY external_id LIMIT $4`,
    values: [page.tenant, page.after, page.role, page.limit],
  })
  return rows
}

/**
 * Deletes a user with devices, subscriptions and preferences. What still waits to be sent is withdrawn and forgets its
 * address; what was sent stays in the history, and what was put off no longer than the rest of it. That they were is
 * remembered, for their tokens go on.
 */
export async function deleteUser(tx: Tx, user: { tenant: string; id: string }): Promise<boolean> {
  await tx.query({
    text: `UPDATE runs SET snoozed_until = NULL, revision = revision + 1
      WHERE tenant_id = $1 AND user_id = $2 AND in_inbox AND removed_at IS NULL AND snoozed_until IS NOT NULL`,
    values: [user.tenant, user.id],
  })
  await tx.query({
    text: 'DELETE FROM preferences WHERE tenant_id = $1 AND user_id = $2',
    values: [user.tenant, user.id],
  })
  const { rowCount } = await tx.query({
    text: 'DELETE FROM users WHERE tenant_id = $1 AND id = $2',
    values: [user.tenant, user.id],
  })
  if (rowCount === 0) return false
  await tx.query({
    text: 'INSERT INTO deleted_users (tenant_id, id) VALUES ($1, $2) ON CONFLICT (tenant_id, id) DO UPDATE SET at = now()',
    values: [user.tenant, user.id],
  })
  await withdrawForgotten(tx, user)
  return true
}

export interface DeviceRecord {
  id: string
  kind: 'fcm' | 'apns' | 'webpush'
  app: string
  locale: string | null
  status: 'active' | 'suspended' | 'gone'
  reason: string | null
  registeredAt: Date
  updatedAt: Date
}

export interface DeviceRegistration {
  tenant: string
  id: string
  userId: string
  kind: DeviceRecord['kind']
  app?: string | undefined
  /** {token, environment} or {endpoint, p256dh, auth}. */
  address: unknown
  /** SHA-256 of the token or endpoint. */
  addressHash: Uint8Array
  locale?: string | undefined
}

const DEVICE = `id, kind, app, locale, status, reason, registered_at AS "registeredAt", updated_at AS "updatedAt"`

/**
 * Registers a device or rotates its token. A token belongs to one person: whoever held it loses it. `registeredAt`
 * moves only with a new address, since a provider's "gone since" is compared with it.
 */
export async function putDevice(
  tx: Tx,
  device: DeviceRegistration,
): Promise<DeviceRecord & { created: boolean }> {
  // two sign-ins with one token at the same moment take turns
  await tx.query({
    text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
    values: [`${device.tenant} ${device.kind} ${Buffer.from(device.addressHash).toString('hex')}`],
  })
  await tx.query({
    text: 'DELETE FROM devices WHERE tenant_id = $1 AND kind = $2 AND address_hash = $3 AND id <> $4',
    values: [device.tenant, device.kind, device.addressHash, device.id],
  })
  const { rows } = await tx.query<DeviceRecord & { created: boolean }>({
    text: `INSERT INTO devices (tenant_id, id, user_id, kind, app, address, address_hash, locale)
      VALUES ($1, $2, $3, $4, coalesce($5, 'default'), $6, $7, $8)
      ON CONFLICT (tenant_id, id) DO UPDATE SET user_id = excluded.user_id, kind = excluded.kind, app = excluded.app,
        address = excluded.address, address_hash = excluded.address_hash, locale = excluded.locale, status = 'active',
        reason = NULL, updated_at = now(), registered_at = CASE WHEN devices.address_hash = excluded.address_hash
          AND devices.status = 'active' THEN devices.registered_at ELSE now() END
      RETURNING ${DEVICE}, xmax = 0 AS created`,
    values: [
      device.tenant,
      device.id,
      device.userId,
      device.kind,
      device.app,
      JSON.stringify(device.address),
      device.addressHash,
      device.locale,
    ],
  })
  return rows[0] as DeviceRecord & { created: boolean }
}

export async function listDevices(tx: Tx, user: { tenant: string; id: string }): Promise<DeviceRecord[]> {
  const { rows } = await tx.query<DeviceRecord>({
    text: `SELECT ${DEVICE} FROM devices WHERE tenant_id = $1 AND user_id = $2 ORDER BY registered_at, id`,
    values: [user.tenant, user.id],
  })
  return rows
}

/** Signs a device out. It must be this user's. */
export async function deleteDevice(
  tx: Tx,
  device: { tenant: string; userId: string; id: string },
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM devices WHERE tenant_id = $1 AND user_id = $2 AND id = $3',
    values: [device.tenant, device.userId, device.id],
  })
  return rowCount === 1
}
