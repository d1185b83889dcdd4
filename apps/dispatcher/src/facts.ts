import type { Facts } from '@carillon/decisions'
import {
  type DeviceRow,
  loadDevices,
  loadPreferences,
  loadUsers,
  type PreferenceRow,
  type Tx,
  type UserKey,
  type UserRow,
} from '@carillon/postgres'
import type { TenantRules } from './rules.js'

/** What is known of the users of a batch, looked up at once. */
export interface Directory {
  /** Undefined for a user that isn't known. */
  factsOf(
    rules: TenantRules,
    userId: string,
    run: { category: string | null; seenAt: number | null },
  ): Facts | undefined
}

/** Three statements for any number of users. */
export async function lookUp(tx: Tx, keys: readonly UserKey[]): Promise<Directory> {
  const distinct = [...new Map(keys.map((key) => [nameOf(key.tenant, key.id), key])).values()]
  if (distinct.length === 0) return { factsOf: () => undefined }
  const users = await loadUsers(tx, distinct)
  const devices = await loadDevices(tx, distinct)
  const preferences = await loadPreferences(tx, distinct)
  const userOf = new Map(users.map((user) => [nameOf(user.tenant, user.id), user]))
  const devicesOf = groupBy(devices)
  const preferencesOf = groupBy(preferences)
  return {
    factsOf(rules, userId, run) {
      const name = nameOf(rules.tenant, userId)
      const user = userOf.get(name)
      if (user === undefined) return undefined
      return toFacts(rules, user, devicesOf.get(name) ?? [], preferencesOf.get(name) ?? [], run)
    },
  }
}

function toFacts(
  rules: TenantRules,
  user: UserRow,
  devices: readonly DeviceRow[],
  preferences: readonly PreferenceRow[],
  run: { category: string | null; seenAt: number | null },
): Facts {
  return {
    user: {
      id: user.id,
      externalId: user.externalId,
      email: user.email,
      phone: user.phone,
      name: user.name,
      locale: user.locale,
      timezone: user.timezone,
      roles: user.roles,
      attributes: user.attributes as Record<string, unknown>,
      status: user.active ? 'active' : 'suspended',
    },
    devices: devices as Facts['devices'],
    category: run.category === null ? null : (rules.categories.get(run.category) ?? null),
    preferences: preferences as Facts['preferences'],
    tenantDefaults: rules.defaults as Facts['tenantDefaults'],
    capCount: 0,
    seenAt: run.seenAt,
    cancelled: false,
    tenantLocale: rules.locale,
  }
}

function groupBy<R extends { tenant: string; userId: string }>(rows: readonly R[]): Map<string, R[]> {
  const groups = new Map<string, R[]>()
  for (const row of rows) {
    const name = nameOf(row.tenant, row.userId)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [row])
    else group.push(row)
  }
  return groups
}

function nameOf(tenant: string, id: string): string {
  return `${tenant} ${id}`
}
