import type { InboxSnapshot, InboxStore } from '@carillon/client'
import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react'
import { useCarillonContext } from '../context.js'

export interface UseInboxOptions {
  /** Fetches the first page if nobody did. True unless said; a connection does it by itself. */
  load?: boolean
}

export interface UseInbox extends InboxSnapshot {
  /** What can be done: marks show at once; a refusal takes them back and rejects. */
  store: InboxStore
}

/** The signed-in person's inbox. All components see the same one, its filter included. */
export function useInbox({ load = true }: UseInboxOptions = {}): UseInbox {
  const store = useCarillonContext().client.inbox
  const snapshot = useSyncExternalStore(
    useCallback((listener: () => void) => store.subscribe(listener), [store]),
    () => store.getSnapshot(),
    () => ON_A_SERVER,
  )
  useEffect(() => {
    // a failure shows in the snapshot
    if (load && store.getSnapshot().status === 'idle') store.load().catch(() => undefined)
  }, [store, load])
  return useMemo(() => ({ ...snapshot, store }), [snapshot, store])
}

/** How many notifications wait unread, whatever the filter. */
export function useUnread(): number {
  return useInbox().unread
}

const ON_A_SERVER: InboxSnapshot = {
  status: 'idle',
  items: [],
  unread: 0,
  filter: 'all',
  hasMore: false,
  loadingMore: false,
  error: null,
}
