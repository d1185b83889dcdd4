/** One button of a notification. */
export interface Action {
  id: string
  title: string
  url?: string
}

/**
 * What a Live Activity of iOS is to show. Goes to addresses of kind `apns-live-activity` and `fcm-live-activity`; any
 * other address gets the message's words alone. `start` needs `attributesType` and a title.
 */
export interface LiveActivity {
  event: 'start' | 'update' | 'end'
  contentState: Record<string, unknown>
  /** With `start`: the name of the app's type and its values. */
  attributesType?: string
  attributes?: Record<string, unknown>
  /**
   * Milliseconds at which this state was true. The phone ignores what is older than what it shows, so a repeated
   * attempt must not look newer than it is. Absent: the moment of sending.
   */
  at?: number
  /** Milliseconds after which the phone marks it as out of date. */
  staleAt?: number
  /** Milliseconds at which an ended one leaves the screen. Absent: when the phone thinks fit, at most four hours. */
  dismissAt?: number
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
  /**
   * Handed to the app. Keys `nid`, `did`, `rt`, `url`, `actions`, `clear` are ours and win over the same key here; so
   * do `title`, `body`, `subtitle`, `image`, `channelId` of a data-only message and `badge` of one that shows nothing.
   */
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
  /** 0 to 1: what stands out of several in iOS' summary; any number for Live Activities. */
  relevanceScore?: number
  /** Wakes the app and shows nothing. Refused where it can't be: browsers show every push, a text is always read. */
  silent?: boolean
  /**
   * The app draws it: FCM hands over data without showing anything, so that an Android app also can tell that it
   * arrived. iPhones and browsers show the words as ever; without words it is silent.
   */
  dataOnly?: boolean
  /** Silent: the app takes the notification with this `nid` off the screen. */
  clear?: string
  liveActivity?: LiveActivity
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
  /** Everybody whose app subscribed at FCM. A name, or a condition over at most five: `'a' in topics && …`. */
  | ({ kind: 'fcm-topic' } & ({ topic: string; condition?: never } | { condition: string; topic?: never }))
  /** `token` is the phone's, `activityToken` the activity's or the one that starts activities. */
  | { kind: 'fcm-live-activity'; token: string; activityToken: string }
  | { kind: 'apns'; token: string; environment?: 'production' | 'sandbox' }
  /** `token` is the activity's own, or the one that starts activities; it dies with the activity. */
  | { kind: 'apns-live-activity'; token: string; environment?: 'production' | 'sandbox' }
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
  /** Local part of the address to which a mail comes back, from `bounceLocalPart`; absent: one that proves nothing. */
  bounceTo?: string
}

/** The Outgoing whose address is of one of these kinds. */
export type OutgoingTo<K extends Address['kind']> = Outgoing & { address: Extract<Address, { kind: K }> }

/** The Outgoing that one provider serves. */
export type OutgoingFor<P extends Provider> = OutgoingTo<
  { [K in Address['kind']]: (typeof PROVIDER_OF)[K] extends P ? K : never }[Address['kind']]
>

/** Providers, by the folder that speaks to them. */
export const PROVIDERS = ['fcm', 'apns', 'webpush', 'smtp', 'sms', 'webhook'] as const
export type Provider = (typeof PROVIDERS)[number]

const PROVIDER_OF = {
  fcm: 'fcm',
  'fcm-topic': 'fcm',
  'fcm-live-activity': 'fcm',
  apns: 'apns',
  'apns-live-activity': 'apns',
  webpush: 'webpush',
  email: 'smtp',
  sms: 'sms',
  webhook: 'webhook',
} as const satisfies Record<Address['kind'], Provider>

/** The provider that serves an address. */
export function providerOf(kind: Address['kind']): Provider {
  return PROVIDER_OF[kind]
}

/** True when the message is for one provider's addresses. */
export function isFor<P extends Provider>(outgoing: Outgoing, provider: P): outgoing is OutgoingFor<P> {
  return providerOf(outgoing.address.kind) === provider
}
