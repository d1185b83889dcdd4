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
  // internal ids are derived from tenant and name, so they need no tenant beside them here
  const distinct = [...new Map(keys.map((key) => [key.id, key])).values()]
  if (distinct.length === 0) return { factsOf: () => undefined }
  const users = await loadUsers(tx, distinct)
  const devices = await loadDevices(tx, distinct)
  const preferences = await loadPreferences(tx, distinct)
  const userOf = new Map(users.map((user) => [user.id, user]))
  const devicesOf = groupBy(devices)
  const preferencesOf = groupBy(preferences)
  return {
    factsOf(rules, userId, run) {
      const user = userOf.get(userId)
      if (user === undefined || user.tenant !== rules.tenant) return undefined
      return toFacts(rules, user, devicesOf.get(userId) ?? NOTHING, preferencesOf.get(userId) ?? NOTHING, run)
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

const NOTHING: readonly never[] = []

function groupBy<R extends { userId: string }>(rows: readonly R[]): Map<string, R[]> {
  const groups = new Map<string, R[]>()
  for (const row of rows) {
    const group = groups.get(row.userId)
    if (group === undefined) groups.set(row.userId, [row])
    else group.push(row)
  }
  return groups
}
