import type { Channel, DomainEvent, RecipientInput } from '@carillon/contracts'
import { createConditions, quietHoursOf } from '../conditions.js'
import type { Facts, Preference } from '../facts.js'
import type { Group } from '../recipients.js'
import { celScope, userScope } from '../scope.js'
import type { QuietWindow } from '../time/quiet-window.js'

/** What is known of a person, whatever the run. */
export type ReplayFacts = Omit<Facts, 'seenAt' | 'cancelledAt' | 'awaited' | 'digest' | 'used'>

/** Whom a replay finds. Everything is at hand: a replay waits for nothing. */
export interface PeopleSource {
  /** Undefined for somebody who isn't known. */
  factsFor(externalId: string, category: string | null): ReplayFacts | undefined
  /** External ids, in a stable order. A segment may depend on the event. */
  members(group: Group, event: DomainEvent): readonly string[]
  /** Makes or completes somebody whom an event describes on the way. */
  identify(person: Exclude<RecipientInput, string>): void
}

/** A word on a category and a channel; what is left out stands for all. `condition` is CEL over the event. */
export interface WrittenPreference {
  category?: string | null | undefined
  channel?: Channel | null | undefined
  enabled: boolean
  condition?: string | null | undefined
}

/** Default channels: push and sms; a mail can be read in the morning. */
export interface WrittenQuietHours {
  windows: readonly QuietWindow[]
  channels?: readonly Channel[] | undefined
}

/** A person as tests and exports describe one. */
export interface WrittenPerson {
  id: string
  email?: string | null | undefined
  phone?: string | null | undefined
  name?: string | null | undefined
  locale?: string | null | undefined
  timezone?: string | null | undefined
  roles?: readonly string[] | undefined
  attributes?: Readonly<Record<string, unknown>> | undefined
  status?: 'active' | 'suspended' | undefined
  /** They hold a realtime connection, all the time. */
  online?: boolean | undefined
  /** Active ones. */
  devices?: readonly { kind: Facts['devices'][number]['kind']; app: string }[] | undefined
  preferences?: readonly WrittenPreference[] | undefined
  quietHours?: WrittenQuietHours | null | undefined
}

/** What a tenant has decided for all its people. */
export interface WrittenTenant {
  locale: string
  timezone: string
  categories?: readonly NonNullable<Facts['category']>[] | undefined
  preferences?: readonly WrittenPreference[] | undefined
  quietHours?: WrittenQuietHours | null | undefined
}

/** A directory in memory. */
export interface People extends PeopleSource {
  put(person: WrittenPerson): void
  has(externalId: string): boolean
  subscribe(topic: string, externalId: string): void
}

type Known = Pick<ReplayFacts, 'user' | 'devices' | 'preferences' | 'online'> & {
  quietHours: Facts['quietHours']
}

/**
 * Makes a directory of people. Internal ids are the external ones, so that cohorts of experiments differ from a mesh's.
 * @param options.internalId gives the id that a mesh would use
 */
export function createPeople(
  tenant: WrittenTenant,
  options: { internalId?: (externalId: string) => string } = {},
): People {
  const known = new Map<string, Known>()
  const topics = new Map<string, Set<string>>()
  const conditions = createConditions()
  const preferenceOf = ({
    category = null,
    channel = null,
    enabled,
    condition = null,
  }: WrittenPreference): Preference => conditions.preferenceOf({ category, channel, enabled, condition })
  const quietOf = (written: WrittenQuietHours | null | undefined, by: 'person' | 'tenant') =>
    written === null || written === undefined ? null : quietHoursOf(written, by)
  const categories = new Map((tenant.categories ?? []).map((category) => [category.key, category]))
  const tenantDefaults = (tenant.preferences ?? []).map(preferenceOf)
  const tenantQuiet = quietOf(tenant.quietHours, 'tenant')
  const { locale: tenantLocale, timezone: tenantTimezone } = tenant
  const put = (person: WrittenPerson): void => {
    const { id } = person
    known.set(id, {
      user: {
        id: options.internalId?.(id) ?? id,
        externalId: id,
        email: person.email ?? null,
        phone: person.phone ?? null,
        name: person.name ?? null,
        locale: person.locale ?? null,
        timezone: person.timezone ?? null,
        roles: person.roles ?? [],
        attributes: person.attributes ?? {},
        status: person.status ?? 'active',
      },
      devices: (person.devices ?? []).map((device, index) => ({
        id: `${id}/${device.kind}/${index}`,
        ...device,
        status: 'active' as const,
      })),
      preferences: (person.preferences ?? []).map(preferenceOf),
      quietHours: quietOf(person.quietHours, 'person'),
      ...(person.online === undefined ? {} : { online: person.online }),
    })
  }
  const activeWhere = (holds: (user: Facts['user']) => boolean): string[] =>
    [...known.values()]
      .filter(({ user }) => user.status === 'active' && holds(user))
      .map(({ user }) => user.externalId)
  const activeAmong = (ids: readonly string[]): string[] =>
    ids.filter((id) => known.get(id)?.user.status === 'active')
  return {
    put,
    has: (externalId) => known.has(externalId),
    subscribe(topic, externalId) {
      const subscribers = topics.get(topic) ?? new Set()
      topics.set(topic, subscribers.add(externalId))
    },
    factsFor(externalId, category) {
      const person = known.get(externalId)
      if (person === undefined) return undefined
      return {
        ...person,
        category: category === null ? null : (categories.get(category) ?? null),
        tenantDefaults,
        quietHours: person.quietHours ?? tenantQuiet,
        tenantLocale,
        tenantTimezone,
      }
    },
    members(group, event) {
      if (group.kind === 'everyone') return activeWhere(() => true)
      if (group.kind === 'role') return activeWhere(({ roles }) => roles.includes(group.role))
      if (group.kind === 'topic') return activeAmong(subscribersOf(topics, group.topic))
      const tenantScope = { locale: tenantLocale, timezone: tenantTimezone }
      return activeWhere((user) => {
        const result = group.holds({ ...celScope(event), user: userScope(user, tenantScope) })
        return result.ok && result.value === true
      })
    },
    identify({ id, ...fields }) {
      if (Object.keys(fields).length === 0) return
      const person = known.get(id)
      if (person === undefined) return put({ id, ...fields })
      const { roles, ...rest } = fields
      const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
      const user = {
        ...person.user,
        ...given,
        ...(roles === undefined || roles.length === 0 ? {} : { roles }),
      }
      known.set(id, { ...person, user })
    },
  }
}

/** Subscribers of the topic, of its parts (`city.vienna` of `city`) and of what it is a part of. */
function subscribersOf(topics: ReadonlyMap<string, ReadonlySet<string>>, topic: string): string[] {
  const ids = new Set<string>()
  for (const [name, subscribers] of topics) {
    if (name !== topic && !name.startsWith(`${topic}.`) && !topic.startsWith(`${name}.`)) continue
    for (const id of subscribers) ids.add(id)
  }
  return [...ids]
}
