import type { Channel } from '@carillon/contracts'

/** A person's or a tenant's word on a category and a channel; null stands for all. */
export interface Preference {
  category: string | null
  channel: Channel | null
  enabled: boolean
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
  /** Notifications of this workflow that reached the person in the cap's window before this one. */
  capCount: number
  /** When it was seen, milliseconds; null when it wasn't. */
  seenAt: number | null
  cancelled: boolean
  tenantLocale: string
}
