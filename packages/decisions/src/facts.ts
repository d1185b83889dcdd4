import type { Channel } from '@carillon/contracts'
import type { Expression } from './cel.js'
import type { QuietWindow } from './time/quiet-window.js'

/** A person's or a tenant's word on a category and a channel; null stands for all. */
export interface Preference {
  category: string | null
  channel: Channel | null
  enabled: boolean
  /** While it holds the word is `enabled`, else the contrary. */
  condition?: { text: string; holds: Expression }
}

/** When somebody isn't to be disturbed. */
export interface QuietHours {
  windows: readonly QuietWindow[]
  /** Channels that are held meanwhile. */
  channels: readonly Channel[]
  /** Whose they are. */
  by: 'person' | 'tenant'
}

/** One event that went into a digest. */
export interface DigestItem {
  /** The run that it began. */
  run: string
  event: { id: string; type: string; source: string; subject: string | null; time: string | null }
  data: unknown
}

/** What a digest gathered, oldest first. */
export interface Digest {
  key: string
  items: readonly DigestItem[]
}

/** What was looked up for one run before it is judged. */
export interface Facts {
  user: {
    /** Internal id. */
    id: string
    externalId: string
    email: string | null
    phone: string | null
    name: string | null
    locale: string | null
    timezone: string | null
    roles: readonly string[]
    attributes: Readonly<Record<string, unknown>>
    status: 'active' | 'suspended'
  }
  devices: readonly {
    id: string
    kind: 'fcm' | 'apns' | 'webpush'
    app: string
    status: 'active' | 'suspended' | 'gone'
  }[]
  category: {
    key: string
    name: string
    critical: boolean
    defaults: Readonly<Partial<Record<Channel, boolean>>>
  } | null
  /** The person's own. */
  preferences: readonly Preference[]
  tenantDefaults: readonly Preference[]
  quietHours: QuietHours | null
  /** When it was seen, milliseconds; null when it wasn't. */
  seenAt: number | null
  /** The person holds a realtime connection at this moment; absent when nobody asked, or nobody could say. */
  online?: boolean
  /** When the run was cancelled by its key, milliseconds; null when it wasn't. */
  cancelledAt: number | null
  tenantLocale: string
  tenantTimezone: string
  /** The event that the run waited for, once it came; `key` is the one that both gave. */
  awaited?: { type: string; key: string; data: unknown; at: number }
  /** What the digest gathered that the run carries. */
  digest?: Digest
  /** What counters said: which throttles are used up, and which cap is. */
  used?: { throttles: ReadonlySet<number>; cap?: CapUsed }
}

/** A frequency cap that is used up. */
export interface CapUsed {
  /** One sentence, like `5 of at most 5 per 1d have gone out`. */
  detail: string
  /** Channels that it holds back. */
  channels: readonly Channel[]
}
