import type { Channel } from '@carillon/contracts'
import {
  createCelCompiler,
  type Expression,
  type Facts,
  type Preference,
  type QuietHours,
} from '@carillon/decisions'
import {
  type DeviceRow,
  loadDevices,
  loadPreferences,
  loadUsers,
  type PreferenceRow,
  type QuietHoursRow,
  type Tx,
  type UserKey,
  type UserRow,
} from '@carillon/postgres'
import type { TenantRules } from './rules.js'

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

/** Conditions of preferences, compiled once each. */
export interface Conditions {
  preferenceOf(row: Pick<PreferenceRow, 'category' | 'channel' | 'enabled' | 'condition'>): Preference
}

/** Conditions kept compiled: people choose among those that a preference page offers. */
const KEPT_CONDITIONS = 2_000

export function createConditions(): Conditions {
  const cel = createCelCompiler()
  const known = new Map<string, Expression>()
  const compile = (text: string): Expression => {
    const kept = known.get(text)
    if (kept !== undefined) return kept
    const compiled = cel.compile(text)
    // it was checked when it was stored; what no longer compiles doesn't hold
    const holds: Expression = compiled.ok
      ? compiled.expression
      : () => ({ ok: false, problem: compiled.problem })
    if (known.size >= KEPT_CONDITIONS) known.delete(known.keys().next().value as string)
    known.set(text, holds)
    return holds
  }
  return {
    preferenceOf({ category, channel, enabled, condition }) {
      const preference: Preference = { category, channel: channel as Channel | null, enabled }
      if (condition !== null) preference.condition = { text: condition, holds: compile(condition) }
      return preference
    },
  }
}

/**
 * Three statements for any number of users.
 * @param pushed those whose devices are needed
 */
export async function lookUp(
  tx: Tx,
  keys: readonly UserKey[],
  conditions: Conditions,
  pushed: readonly UserKey[] = keys,
): Promise<Directory> {
  // internal ids are derived from tenant and name, so they need no tenant beside them here
  const distinct = distinctKeys(keys)
  if (distinct.length === 0) return { factsOf: () => undefined }
  const users = await loadUsers(tx, distinct)
  const devices = pushed.length === 0 ? [] : await loadDevices(tx, distinctKeys(pushed))
  const preferences = await loadPreferences(tx, distinct)
  const userOf = new Map(users.map((user) => [user.id, user]))
  const devicesOf = groupBy(devices, (row) => row)
  const preferencesOf = groupBy(preferences, (row) => conditions.preferenceOf(row))
  return {
    factsOf(rules, userId, run) {
      const user = userOf.get(userId)
      if (user === undefined || user.tenant !== rules.tenant) return undefined
      return toFacts(rules, user, devicesOf.get(userId) ?? NOTHING, preferencesOf.get(userId) ?? NOTHING, run)
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

/** What rings: a mail can be read in the morning. */
const QUIET_CHANNELS: readonly Channel[] = ['push', 'sms']

export function quietHoursOf(row: QuietHoursRow, by: QuietHours['by']): QuietHours {
  return { windows: row.windows, channels: row.channels ?? QUIET_CHANNELS, by }
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
