import type { FaultReply } from '../faults.js'
import { failure } from '../fcm/answers.js'
import type { SimulatedProvider } from '../inbox.js'

/** Ways in which a provider fails everything, in the order of the page's list. */
export const OUTAGES = ['unavailable', 'busy', 'hang', 'dead', 'revoked'] as const
export type Outage = (typeof OUTAGES)[number]

/** Seconds of Retry-After; short, so that a person sees it happen. */
const RETRY_AFTER = { 'retry-after': '3' }

/** What the provider answers; undefined: its own usual outage. `now` in milliseconds. */
export function outageReply(
  provider: SimulatedProvider,
  outage: Outage,
  now: number,
): FaultReply | undefined {
  if (outage === 'unavailable') return undefined
  if (outage === 'hang') return 'hang'
  return REPLIES[outage][provider]?.(now)
}

/** Those that the provider knows. A receiver of webhooks revokes nothing. */
export function outagesOf(provider: SimulatedProvider): Outage[] {
  return OUTAGES.filter((outage) => outage !== 'revoked' || REPLIES.revoked[provider] !== undefined)
}

type Replies = Partial<Record<SimulatedProvider, (now: number) => FaultReply>>

const fcm = (status: number, what: Parameters<typeof failure>[1], headers = {}): FaultReply => ({
  status,
  headers,
  body: failure(status, what),
})

const REPLIES: Readonly<Record<'busy' | 'dead' | 'revoked', Replies>> = {
  busy: {
    fcm: () =>
      fcm(
        429,
        { status: 'RESOURCE_EXHAUSTED', message: 'Quota exceeded.', code: 'QUOTA_EXCEEDED' },
        RETRY_AFTER,
      ),
    apns: () => ({ status: 429, headers: RETRY_AFTER, body: { reason: 'TooManyRequests' } }),
    webpush: () => ({ status: 429, headers: RETRY_AFTER, body: 'too many requests' }),
    smtp: () => ({ status: 450, body: '4.2.1 Too many mails, try again later' }),
    sms: () => ({ status: 429, headers: RETRY_AFTER, body: { code: 20429 } }),
    webhook: () => ({ status: 429, headers: RETRY_AFTER }),
  },
  dead: {
    fcm: () =>
      fcm(404, {
        status: 'NOT_FOUND',
        message: 'Requested entity was not found.',
        code: 'UNREGISTERED',
      }),
    apns: (now) => ({ status: 410, body: { reason: 'Unregistered', timestamp: now } }),
    webpush: () => ({ status: 410, body: 'push subscription has unsubscribed or expired' }),
    smtp: () => ({ status: 550, body: '5.1.1 User unknown' }),
    sms: () => ({ status: 400, body: { code: 21211 } }),
    webhook: () => ({ status: 410 }),
  },
  revoked: {
    fcm: () =>
      fcm(401, {
        status: 'UNAUTHENTICATED',
        message: 'Request had invalid authentication credentials.',
      }),
    apns: () => ({ status: 403, body: { reason: 'InvalidProviderToken' } }),
    webpush: () => ({ status: 403, body: 'invalid VAPID key' }),
    smtp: () => ({ status: 535, body: '5.7.8 Authentication credentials invalid' }),
    sms: () => ({ status: 401, body: { code: 20003 } }),
  },
}
