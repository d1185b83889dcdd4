import type {
  ChannelMessage,
  ChannelOptions,
  ChannelPresence,
  ChannelSnapshot,
  HistoryOptions,
  PresenceStats,
} from '@carillon/client'
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import { useCarillonContext } from '../context.js'
import { type ChannelName, NO_CHANNEL } from './channel-registry.js'

export interface UseChannelOptions extends ChannelOptions {
  /** Each message once, in order, from when the component is there. */
  onMessage?: (message: ChannelMessage) => void
}

export interface UseChannel extends ChannelSnapshot {
  /** Resolves when the server has it. @throws CarillonError */
  publish(data: object, options?: { key?: string }): Promise<void>
  /** @throws CarillonError */
  history(options?: HistoryOptions): Promise<readonly ChannelMessage[]>
  /** @throws CarillonError */
  presence(): Promise<ChannelPresence>
  /** @throws CarillonError */
  presenceStats(): Promise<PresenceStats>
}

/** Joins a channel while the component is there; components that name the same channel share it. */
export function useChannel(name: ChannelName, options: UseChannelOptions = {}): UseChannel {
  const { channels } = useCarillonContext()
  const latest = useRef(options)
  useEffect(() => {
    latest.current = options
  })
  const snapshot = useSyncExternalStore(
    useCallback(
      (listener: () => void) => {
        const { token } = latest.current
        return channels.subscribe(name, token && { token }, listener)
      },
      [channels, name],
    ),
    () => channels.getSnapshot(name),
    () => NO_CHANNEL,
  )
  useEffect(
    () => channels.find(name)?.onMessage((message) => latest.current.onMessage?.(message)),
    [channels, name],
  )
  const operations = useMemo(() => {
    const joined = () => {
      const channel = channels.find(name)
      if (channel === undefined) throw new Error(`The component that uses ${name} is not mounted.`)
      return channel
    }
    return {
      publish: async (data: object, how?: { key?: string }) => joined().publish(data, how),
      history: async (how?: HistoryOptions) => joined().history(how),
      presence: async () => joined().presence(),
      presenceStats: async () => joined().presenceStats(),
    }
  }, [channels, name])
  return { ...snapshot, ...operations }
}
