import type { Channel, Reason } from '@carillon/contracts'
import type { Facts, Preference } from './facts.js'

/** What the preferences say of one category and channel, and which layer decided. */
export interface PreferenceVerdict {
  enabled: boolean
  /** One sentence that names the layer and what it says. */
  decidedBy: string
  /** Present when not enabled: whether the person said no, or never said yes to what is off by default. */
  reason?: Extract<Reason, 'UNSUBSCRIBED' | 'OPT_IN_REQUIRED'>
}

/**
 * A critical category can't be switched off. Otherwise the person's word on exactly this category and channel decides.
 * Without one, two questions are asked, and the first "no" is the answer: of the category (the person, else the tenant's
 * default, else the category's default), then of the channel (the person, else the tenant's default). Nobody's word is yes.
 *
 * @param category the workflow's; it counts even when it stands in no directory
 */
export function judgePreferences(
  facts: Pick<Facts, 'category' | 'preferences' | 'tenantDefaults'>,
  channel: Channel,
  category: string | null = facts.category?.key ?? null,
): PreferenceVerdict {
  if (facts.category?.critical === true) {
    return {
      enabled: true,
      decidedBy: `category "${facts.category.key}" is critical and can't be switched off`,
    }
  }
  const exact = category === null ? undefined : word(facts.preferences, category, channel)
  if (exact !== undefined) return ofPerson(exact)
  const ofCategory = category === null ? undefined : judgeCategory(facts, category, channel)
  if (ofCategory?.enabled === false) return ofCategory
  const ofChannel = judgeChannel(facts, channel)
  if (ofChannel?.enabled === false) return ofChannel
  return ofCategory ?? ofChannel ?? { enabled: true, decidedBy: 'nobody switched it off' }
}

function judgeCategory(
  facts: Pick<Facts, 'category' | 'preferences' | 'tenantDefaults'>,
  category: string,
  channel: Channel,
): PreferenceVerdict | undefined {
  const own = word(facts.preferences, category, null)
  if (own !== undefined) return ofPerson(own)
  const tenant = word(facts.tenantDefaults, category, channel) ?? word(facts.tenantDefaults, category, null)
  if (tenant !== undefined) return byDefault(tenant.enabled, `the tenant's default has ${named(tenant)}`)
  const standard = facts.category?.defaults[channel]
  return standard === undefined
    ? undefined
    : byDefault(standard, `the default of category "${category}" has ${channel}`)
}

function judgeChannel(
  facts: Pick<Facts, 'preferences' | 'tenantDefaults'>,
  channel: Channel,
): PreferenceVerdict | undefined {
  const own = word(facts.preferences, null, channel) ?? word(facts.preferences, null, null)
  if (own !== undefined) return ofPerson(own)
  const tenant = word(facts.tenantDefaults, null, channel) ?? word(facts.tenantDefaults, null, null)
  return tenant === undefined
    ? undefined
    : byDefault(tenant.enabled, `the tenant's default has ${named(tenant)}`)
}

function word(
  preferences: readonly Preference[],
  category: string | null,
  channel: Channel | null,
): Preference | undefined {
  return preferences.find((candidate) => candidate.category === category && candidate.channel === channel)
}

function ofPerson(preference: Preference): PreferenceVerdict {
  const decidedBy = `the person has ${named(preference)} ${preference.enabled ? 'on' : 'off'}`
  return preference.enabled
    ? { enabled: true, decidedBy }
    : { enabled: false, decidedBy, reason: 'UNSUBSCRIBED' }
}

function byDefault(enabled: boolean, says: string): PreferenceVerdict {
  return enabled
    ? { enabled, decidedBy: `${says} on` }
    : { enabled, decidedBy: `${says} off`, reason: 'OPT_IN_REQUIRED' }
}

function named({ category, channel }: Preference): string {
  if (category === null) return channel ?? 'everything'
  return channel === null ? `category "${category}"` : `category "${category}" by ${channel}`
}
