import type { ConnectionState } from '@carillon/client'
import { useCallback, useSyncExternalStore } from 'react'
import { useCarillonContext } from '../context.js'

/** How the connection stands; `idle` on a server. */
export function useConnectionState(): ConnectionState {
  const { client } = useCarillonContext()
  return useSyncExternalStore(
    useCallback((listener: () => void) => client.onState(listener), [client]),
    () => client.state,
    () => 'idle',
  )
}
