import type { Channel, Reason } from '@carillon/contracts'
import type { Facts, Preference } from './facts.js'
import type { CelScope } from './scope.js'

/** What the preferences say of one category and channel, and which layer decided. */
export interface PreferenceVerdict {
  enabled: boolean
  /** One sentence that names the layer and what it says. */
  decidedBy: string
  /** Present when not enabled: whether the person said no, or never said yes to what is off by default. */
  reason?: Extract<Reason, 'UNSUBSCRIBED' | 'OPT_IN_REQUIRED'>
}

type Words = Pick<Facts, 'category' | 'preferences' | 'tenantDefaults'>

/**
 * A critical category can't be switched off. Otherwise the person's word on exactly this category and channel decides.
 * Without one, two questions are asked, and the first "no" is the answer: of the category (the person, else the tenant's
 * default, else the category's default), then of the channel (the person, else the tenant's default). Nobody's word is yes.
 *
 * @param category the workflow's; it counts even when it stands in no directory
 * @param scope what conditions of preferences are judged with; without it they are taken to hold
 */
export function judgePreferences(
  facts: Words,
  channel: Channel,
  category: string | null = facts.category?.key ?? null,
  scope?: CelScope,
): PreferenceVerdict {
  if (facts.category?.critical === true) {
    return {
      enabled: true,
      decidedBy: `category "${facts.category.key}" is critical and can't be switched off`,
    }
  }
  const exact = category === null ? undefined : word(facts.preferences, category, channel)
  if (exact !== undefined) return ofPerson(exact, scope)
  const ofCategory = category === null ? undefined : judgeCategory(facts, category, channel, scope)
  if (ofCategory?.enabled === false) return ofCategory
  const ofChannel = judgeChannel(facts, channel, scope)
  if (ofChannel?.enabled === false) return ofChannel
  return ofCategory ?? ofChannel ?? { enabled: true, decidedBy: 'nobody switched it off' }
}

/** True when some preference depends on what the event says, so that items of a digest may differ. */
export function dependsOnEvent(facts: Words): boolean {
  const conditional = (preference: Preference) => preference.condition !== undefined
  return facts.preferences.some(conditional) || facts.tenantDefaults.some(conditional)
}

function judgeCategory(
  facts: Words,
  category: string,
  channel: Channel,
  scope: CelScope | undefined,
): PreferenceVerdict | undefined {
  const own = word(facts.preferences, category, null)
  if (own !== undefined) return ofPerson(own, scope)
  const tenant = word(facts.tenantDefaults, category, channel) ?? word(facts.tenantDefaults, category, null)
  if (tenant !== undefined) return ofTenant(tenant, scope)
  const standard = facts.category?.defaults[channel]
  return standard === undefined
    ? undefined
    : byDefault(standard, `the default of category "${category}" has ${channel}`)
}

function judgeChannel(
  facts: Words,
  channel: Channel,
  scope: CelScope | undefined,
): PreferenceVerdict | undefined {
  const own = word(facts.preferences, null, channel) ?? word(facts.preferences, null, null)
  if (own !== undefined) return ofPerson(own, scope)
  const tenant = word(facts.tenantDefaults, null, channel) ?? word(facts.tenantDefaults, null, null)
  return tenant === undefined ? undefined : ofTenant(tenant, scope)
}

function word(
  preferences: readonly Preference[],
  category: string | null,
  channel: Channel | null,
): Preference | undefined {
  return preferences.find((candidate) => candidate.category === category && candidate.channel === channel)
}

/** What a word says of this event, and the condition that made it so. */
function said({ enabled, condition }: Preference, scope: CelScope | undefined): [boolean, string] {
  if (condition === undefined) return [enabled, '']
  if (scope === undefined) return [enabled, ` while ${condition.text}`]
  const result = condition.holds(scope)
  const holds = result.ok && result.value === true
  return [holds === enabled, `, since ${condition.text} is ${holds ? 'true' : 'not true'}`]
}

function ofPerson(preference: Preference, scope: CelScope | undefined): PreferenceVerdict {
  const [enabled, because] = said(preference, scope)
  const decidedBy = `the person has ${named(preference)} ${enabled ? 'on' : 'off'}${because}`
  return enabled ? { enabled, decidedBy } : { enabled, decidedBy, reason: 'UNSUBSCRIBED' }
}

function ofTenant(preference: Preference, scope: CelScope | undefined): PreferenceVerdict {
  const [enabled, because] = said(preference, scope)
  return byDefault(enabled, `the tenant's default has ${named(preference)}`, because)
}

function byDefault(enabled: boolean, says: string, because = ''): PreferenceVerdict {
  return enabled
    ? { enabled, decidedBy: `${says} on${because}` }
    : { enabled, decidedBy: `${says} off${because}`, reason: 'OPT_IN_REQUIRED' }
}

function named({ category, channel }: Preference): string {
  if (category === null) return channel ?? 'everything'
  return channel === null ? `category "${category}"` : `category "${category}" by ${channel}`
}
