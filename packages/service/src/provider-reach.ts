import { Type } from 'typebox'
import { CarillonError } from './errors.js'

/** Configuration keys of every role that speaks to providers: whom it may dial. */
export const PROVIDER_REACH = {
  providerSettings: Type.Object(
    {},
    {
      env: 'CARILLON_PROVIDER_SETTINGS',
      description: 'JSON: other endpoints and authorities for providers, for development and tests.',
      default: {},
      additionalProperties: true,
    },
  ),
  mailRelays: Type.Unsafe<'public' | 'private'>({
    type: 'string',
    enum: ['public', 'private'],
    env: 'CARILLON_MAIL_RELAYS',
    description: 'private lets mail accounts name servers in the own network; public refuses them.',
    default: 'public',
  }),
}

/** @throws CarillonError `CONFIG_INVALID` where production would send somewhere else than to the providers */
export function assertReach(config: { environment: string; providerSettings: object }): void {
  if (config.environment !== 'production' || Object.keys(config.providerSettings).length === 0) return
  throw new CarillonError('CONFIG_INVALID', 'Other provider endpoints are for development alone.', {
    remedy: 'Unset CARILLON_PROVIDER_SETTINGS in production.',
  })
}
