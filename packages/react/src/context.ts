import type { Carillon } from '@carillon/client'
import { createContext, useContext } from 'react'
import type { ChannelRegistry } from './hooks/channel-registry.js'
import type { Text } from './text/text.js'

/** What the provider hands down. */
export interface CarillonContextValue {
  client: Carillon
  text: Text
  channels: ChannelRegistry
  /** Whether toasts speak of new notifications, so that an inbox need not. */
  toasts: { mounted: number }
}

export const CarillonContext = createContext<CarillonContextValue | undefined>(undefined)

/** @throws Error outside of a provider */
export function useCarillonContext(): CarillonContextValue {
  const value = useContext(CarillonContext)
  if (value === undefined) throw new Error('There is no <CarillonProvider> around this component.')
  return value
}
