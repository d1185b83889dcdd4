import type { Carillon } from '@carillon/client'
import { type ReactNode, useEffect, useMemo, useSyncExternalStore } from 'react'
import { CarillonContext, useCarillonContext } from './context.js'
import { createChannelRegistry } from './hooks/channel-registry.js'
import { type Look, LookProvider } from './parts.js'
import type { Messages } from './text/messages.js'
import { createText } from './text/text.js'

export interface CarillonProviderProps extends Look {
  /** Yours: it is connected here, and disconnected by whoever made it. */
  client: Carillon
  /** Of texts, numbers and times. The browser's language unless said; English on a server. */
  locale?: string
  /** Texts in place of ours. */
  messages?: Partial<Messages>
  /** Connects when mounted. True unless said. */
  connect?: boolean
  children?: ReactNode
}

/** Everything of Carillon stands inside of one; it renders nothing itself. */
export function CarillonProvider(props: CarillonProviderProps): ReactNode {
  const { client, messages, connect = true, children, unstyled, classNames, theme } = props
  const browser = useSyncExternalStore(subscribeToLanguage, browserLanguage, serverLanguage)
  const locale = props.locale ?? browser
  const text = useMemo(() => createText(locale, messages), [locale, messages])
  const channels = useMemo(() => createChannelRegistry(client), [client])
  const toasts = useMemo(() => ({ mounted: 0 }), [])
  const value = useMemo(() => ({ client, text, channels, toasts }), [client, text, channels, toasts])
  useEffect(() => {
    if (connect) client.connect()
  }, [client, connect])
  return (
    <CarillonContext value={value}>
      <LookProvider look={{ unstyled, classNames, theme }}>{children}</LookProvider>
    </CarillonContext>
  )
}

/** The client itself, for what the hooks don't offer. */
export function useCarillon(): Carillon {
  return useCarillonContext().client
}

function subscribeToLanguage(listener: () => void): () => void {
  window.addEventListener('languagechange', listener)
  return () => window.removeEventListener('languagechange', listener)
}

const browserLanguage = (): string => navigator.language
const serverLanguage = (): string => 'en'
