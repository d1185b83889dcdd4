import { type Conditions, type Facts, type Preference, quietHoursOf } from '@carillon/decisions'
import {
  type DeviceRow,
  loadDevices,
  loadPreferences,
  loadUsers,
  type Tx,
  type UserKey,
  type UserRow,
} from '@carillon/postgres'
import type { TenantRules } from './rules.js'

/** Ids of those who hold a realtime connection now. Never throws: whoever isn't known to be online is offline. */
export type AskOnline = (people: readonly UserKey[]) => Promise<ReadonlySet<string>>

/** Whom to look up, and what of some is needed besides. */
export interface Wanted {
  users: readonly UserKey[]
  /** Those whose devices are needed; everybody's when absent. */
  pushed?: readonly UserKey[]
  /** Those of whom it matters whether they are online. */
  asked: readonly UserKey[]
}

/** What a run brings itself to the facts about its recipient. */
export interface RunFacts {
  category: string | null
  seenAt: number | null
  cancelledAt: number | null
}

/** What is known of the users of a batch, looked up at once. */
export interface Directory {
  /** Undefined for a user that isn't known. */
  factsOf(rules: TenantRules, userId: string, run: RunFacts): Facts | undefined
}

/** Three statements for any number of users, and one question to Redis when it matters who is online. */
export async function lookUp(
  tx: Tx,
  { users: keys, pushed = keys, asked }: Wanted,
  { conditions, online }: { conditions: Conditions; online: AskOnline },
): Promise<Directory> {
  // internal ids are derived from tenant and name, so they need no tenant beside them here
  const distinct = distinctKeys(keys)
  if (distinct.length === 0) return { factsOf: () => undefined }
  const connected = asked.length === 0 ? undefined : online(distinctKeys(asked))
  const users = await loadUsers(tx, distinct)
  const devices = pushed.length === 0 ? [] : await loadDevices(tx, distinctKeys(pushed))
  const preferences = await loadPreferences(tx, distinct)
  const userOf = new Map(users.map((user) => [user.id, user]))
  const devicesOf = groupBy(devices, (row) => row)
  const preferencesOf = groupBy(preferences, (row) => conditions.preferenceOf(row))
  const there = await connected
  return {
    factsOf(rules, userId, run) {
      const user = userOf.get(userId)
      if (user === undefined || user.tenant !== rules.tenant) return undefined
      const facts = toFacts(
        rules,
        user,
        devicesOf.get(userId) ?? NOTHING,
        preferencesOf.get(userId) ?? NOTHING,
        run,
      )
      return there?.has(userId) === true ? { ...facts, online: true } : facts
    },
  }
}

function distinctKeys(keys: readonly UserKey[]): UserKey[] {
  return [...new Map(keys.map((key) => [key.id, key])).values()]
}

function toFacts(
  rules: TenantRules,
  user: UserRow,
  devices: readonly DeviceRow[],
  preferences: readonly Preference[],
  run: RunFacts,
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
    preferences,
    tenantDefaults: rules.defaults,
    quietHours: user.quietHours === null ? rules.quietHours : quietHoursOf(user.quietHours, 'person'),
    seenAt: run.seenAt,
    cancelledAt: run.cancelledAt,
    tenantLocale: rules.locale,
    tenantTimezone: rules.timezone,
  }
}

const NOTHING: readonly never[] = []

function groupBy<R extends { userId: string }, V>(rows: readonly R[], pick: (row: R) => V): Map<string, V[]> {
  const groups = new Map<string, V[]>()
  for (const row of rows) {
    const group = groups.get(row.userId)
    if (group === undefined) groups.set(row.userId, [pick(row)])
    else group.push(pick(row))
  }
  return groups
}
