/** A host and port to dial in place of the provider's own. Certificates are still checked for the true name. */
export interface DialAddress {
  host: string
  port: number
}

/** How channels reach the outside. Empty settings mean the real providers with the limits below. */
export interface ChannelSettings {
  endpoints?: {
    /** Dialled in place of fcm.googleapis.com, and asked, under its own name, in place of iid.googleapis.com. */
    fcm?: DialAddress
    /** OAuth token URL in place of https://oauth2.googleapis.com/token. */
    fcmToken?: string
    /** Dialled in place of api.push.apple.com and api.sandbox.push.apple.com. */
    apns?: DialAddress
  }
  /** PEM of certificate authorities trusted in addition to the platform's. */
  ca?: string
  /** `private` lets mail reach servers in the operator's own network. The metadata services of clouds stay refused. */
  mailRelays?: 'public' | 'private'
  /** Lets every channel reach private, loopback and link-local addresses. For development and tests. */
  allowPrivateEgress?: boolean
  /** Host names accepted as push services in addition to the public ones; `*.example.net` covers subdomains. */
  webPushHosts?: readonly string[]
  timeouts?: {
    /** TCP, TLS and greeting. Default 10 000. */
    connectMs?: number
    /** One request or command, from writing it to its answer. Default 10 000. */
    requestMs?: number
    /** A whole `send()`. Default 25 000. */
    batchMs?: number
  }
}

export interface Timeouts {
  connectMs: number
  requestMs: number
  batchMs: number
}

/** The settings' timeouts with defaults filled in. */
export function timeoutsOf(settings: ChannelSettings): Timeouts {
  return {
    connectMs: settings.timeouts?.connectMs ?? 10_000,
    requestMs: settings.timeouts?.requestMs ?? 10_000,
    batchMs: settings.timeouts?.batchMs ?? 25_000,
  }
}
