import type { Channel } from '@carillon/contracts'
import type { Facts, Preference } from './facts.js'

/** What the preferences say of one category and channel, and which layer decided. */
export interface PreferenceVerdict {
  enabled: boolean
  /** One sentence that names the layer and what it says. */
  decidedBy: string
}

/**
 * Layers in order: a critical category can't be switched off; the person's word, the exact one before the general; the
 * tenant's default; the category's default; on.
 */
export function judgePreferences(facts: Facts, channel: Channel): PreferenceVerdict {
  const category = facts.category
  if (category?.critical === true) {
    return { enabled: true, decidedBy: `category "${category.key}" is critical and can't be switched off` }
  }
  const own = mostExact(facts.preferences, category?.key ?? null, channel)
  if (own !== undefined) return verdict(own, 'the person')
  const tenant = mostExact(facts.tenantDefaults, category?.key ?? null, channel)
  if (tenant !== undefined) return verdict(tenant, "the tenant's default")
  const standard = category?.defaults[channel]
  if (category !== null && standard !== undefined) {
    return {
      enabled: standard,
      decidedBy: `the default of category "${category.key}" has ${channel} ${standard ? 'on' : 'off'}`,
    }
  }
  return { enabled: true, decidedBy: 'nobody switched it off' }
}

/** Category and channel, then category alone, then channel alone, then everything. */
function mostExact(
  preferences: readonly Preference[],
  category: string | null,
  channel: Channel,
): Preference | undefined {
  let best: Preference | undefined
  let rank = -1
  for (const preference of preferences) {
    if (preference.category !== null && preference.category !== category) continue
    if (preference.channel !== null && preference.channel !== channel) continue
    const exactness = (preference.category === null ? 0 : 2) + (preference.channel === null ? 0 : 1)
    if (exactness > rank) {
      best = preference
      rank = exactness
    }
  }
  return best
}

function verdict(preference: Preference, layer: string): PreferenceVerdict {
  const what = [
    preference.category === null ? undefined : `category "${preference.category}"`,
    preference.channel === null ? undefined : preference.channel,
  ]
    .filter((part) => part !== undefined)
    .join(' by ')
  const object = what === '' ? 'everything' : what
  return {
    enabled: preference.enabled,
    decidedBy: `${layer} has ${object} ${preference.enabled ? 'on' : 'off'}`,
  }
}
