import { ChannelError } from './errors.js'
import type { Provider } from './message.js'
import { OPENERS } from './providers.js'
import type { Sender } from './sender.js'
import type { ChannelSettings } from './settings.js'

/** Checks the credentials and opens a sender for them. Connects lazily. Throws ChannelError `CREDENTIALS_INVALID`. */
export type OpenSender = (credentials: unknown, settings: ChannelSettings) => Sender

export interface RegistryOptions {
  /** Reach of every sender of this registry. */
  settings?: ChannelSettings
  /** How each provider is opened. Absent: the real ones. */
  providers?: Readonly<Record<Provider, OpenSender>>
}

/**
 * Senders by (provider, credentials id). The id names one version of one tenant's credentials: new credentials need
 * a new id, and the same id always returns the sender that is already open.
 */
export interface Registry extends AsyncDisposable {
  /** The open sender, if there is one; lets a caller skip reading and unsealing credentials. */
  get(provider: Provider, credentialsId: string): Sender | undefined
  /** @throws ChannelError `CREDENTIALS_INVALID` or `PROVIDER_UNKNOWN` */
  open(provider: Provider, credentialsId: string, credentials: unknown): Sender
  /** Closes and forgets one sender, after a rotation or a revocation. Unknown ids are fine. */
  close(provider: Provider, credentialsId: string): Promise<void>
}

/**
 * Opens one sender outside of any registry; the caller disposes it.
 * @throws ChannelError `CREDENTIALS_INVALID` or `PROVIDER_UNKNOWN`
 */
export function openSender(provider: Provider, credentials: unknown, settings: ChannelSettings = {}): Sender {
  if (!Object.hasOwn(OPENERS, provider)) throw unknownProvider(provider)
  return OPENERS[provider](credentials, settings)
}

function unknownProvider(provider: string): ChannelError {
  return new ChannelError('PROVIDER_UNKNOWN', `There is no provider "${provider}".`, { field: 'provider' })
}

/** A registry over the given providers. Disposal closes every sender it opened. */
export function createRegistry(options: RegistryOptions = {}): Registry {
  const settings = options.settings ?? {}
  const providers = options.providers ?? OPENERS
  const senders = new Map<string, Sender>()
  const keyOf = (provider: string, credentialsId: string) => `${provider} ${credentialsId}`
  return {
    get: (provider, credentialsId) => senders.get(keyOf(provider, credentialsId)),
    open(provider, credentialsId, credentials) {
      const key = keyOf(provider, credentialsId)
      const existing = senders.get(key)
      if (existing) return existing
      if (!Object.hasOwn(providers, provider)) throw unknownProvider(provider)
      const sender = providers[provider](credentials, settings)
      senders.set(key, sender)
      return sender
    },
    async close(provider, credentialsId) {
      const key = keyOf(provider, credentialsId)
      const sender = senders.get(key)
      senders.delete(key)
      await sender?.[Symbol.asyncDispose]()
    },
    async [Symbol.asyncDispose]() {
      const open = [...senders.values()]
      senders.clear()
      await Promise.allSettled(open.map((sender) => sender[Symbol.asyncDispose]()))
    },
  }
}
