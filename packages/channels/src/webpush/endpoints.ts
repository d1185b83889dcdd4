import type { EgressGuard } from '../egress/guard.js'
import { ChannelError } from '../errors.js'

const PUBLIC_SERVICES = [
  'fcm.googleapis.com',
  'updates.push.services.mozilla.com',
  '*.push.services.mozilla.com',
  'web.push.apple.com',
  '*.push.apple.com',
  '*.notify.windows.com',
] as const

/**
 * Checks a subscription's endpoint, which is user input: https, a known push service, its standard port unless the
 * host was allowed by configuration.
 * @throws ChannelError `EGRESS_REFUSED`
 */
export function checkEndpoint(endpoint: string, guard: EgressGuard, allowedHosts: readonly string[]): URL {
  const url = guard.check(endpoint)
  if (allowedHosts.some((host) => matches(url.hostname, host))) return url
  if (url.port === '' && PUBLIC_SERVICES.some((host) => matches(url.hostname, host))) return url
  throw new ChannelError('EGRESS_REFUSED', 'Refused: the endpoint is not a known push service.')
}

function matches(hostname: string, pattern: string): boolean {
  return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : hostname === pattern.toLowerCase()
}
