/** One button of a notification. */
export interface Action {
  id: string
  title: string
  url?: string
}

/**
 * What is to be shown, in our words; each provider's `payload.ts` says it in the provider's.
 * Everything is optional but the priority: a silent message may carry `data` alone.
 */
export interface Message {
  title?: string
  body?: string
  subtitle?: string
  imageUrl?: string
  /** Opened when the notification is clicked. */
  url?: string
  actions?: Action[]
  /** Handed to the app. Keys `nid`, `did`, `rt`, `url`, `actions` are ours and win over the same key here. */
  data?: Record<string, string>
  priority: 'high' | 'normal'
  /** Seconds that a provider may keep it for an offline device. 0: now or never. Absent: one day. */
  ttlSeconds?: number
  /** Milliseconds since the epoch; wins over `ttlSeconds` when it is sooner. */
  expiresAt?: number
  /** A later message with the same key replaces an earlier one, in the provider's store and on the screen. */
  collapseKey?: string
  badge?: number
  sound?: string
  /** Android notification channel. */
  channelId?: string
  threadId?: string
  interruption?: 'passive' | 'active' | 'time-sensitive' | 'critical'
  /** Wakes the app and shows nothing. Refused for web push, where browsers demand something visible. */
  silent?: boolean
  analyticsLabel?: string
  html?: string
  /** E-mail subject; the title when absent. */
  subject?: string
  replyTo?: string
  /** Adds RFC 8058 one-click unsubscribe headers. */
  listUnsubscribeUrl?: string
  /** Merged last into what goes to the provider named by the key (`fcm`, `apns`, `webpush`, `smtp`, `sms`, `webhook`). */
  overrides?: Record<string, Record<string, unknown>>
}

/** Where one delivery goes. */
export type Address =
  | { kind: 'fcm'; token: string }
  | { kind: 'apns'; token: string; environment?: 'production' | 'sandbox' }
  | { kind: 'webpush'; endpoint: string; p256dh: string; auth: string }
  | { kind: 'email'; email: string; name?: string }
  /** `phone` as in E.164. `statusUrl`: told what became of it after it was taken. */
  | { kind: 'sms'; phone: string; statusUrl?: string }
  /** `secrets`: newest first, `whsec_…`; each signs, so that the receiver can rotate. `event`: told along with the message. */
  | { kind: 'webhook'; url: string; secrets: string[]; event?: unknown }

/** One attempt of one delivery. */
export interface Outgoing {
  /** Same on every attempt: webhook-id, Message-ID and `did` in payloads come from it. */
  deliveryId: string
  notificationId: string
  tenant: string
  /** 1 for the first. */
  attempt: number
  address: Address
  message: Message
  /** Lets a device acknowledge without a sign-in. */
  receiptToken: string
}

/** The Outgoing whose address is of one kind. */
export type OutgoingTo<K extends Address['kind']> = Outgoing & { address: Extract<Address, { kind: K }> }

/** Providers, by the folder that speaks to them. */
export const PROVIDERS = ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook'] as const
export type Provider = (typeof PROVIDERS)[number]

/** The provider that serves an address. */
export function providerOf(kind: Address['kind']): Provider {
  return kind === 'email' ? 'smtp' : kind
}
