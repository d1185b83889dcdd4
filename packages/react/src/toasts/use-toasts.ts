import type { InboxItem } from '@carillon/client'
import { useCallback, useEffect, useState } from 'react'
import { useCarillonContext } from '../context.js'

/** Notifications that arrive while the page is open, newest last, at most `limit`; older ones are in the inbox. */
export function useToasts({
  limit,
  accept,
}: {
  limit: number
  accept?: ((item: InboxItem) => boolean) | undefined
}): {
  toasts: readonly InboxItem[]
  dismiss(id: string): void
} {
  const { client, toasts: speakers } = useCarillonContext()
  const [toasts, setToasts] = useState<readonly InboxItem[]>([])
  useEffect(() => {
    speakers.mounted += 1
    return () => {
      speakers.mounted -= 1
    }
  }, [speakers])
  useEffect(
    () =>
      client.onNotification((item) => {
        if (accept && !accept(item)) return
        setToasts((before) => [...before.filter(({ id }) => id !== item.id), item].slice(-limit))
      }),
    [client, limit, accept],
  )
  const dismiss = useCallback(
    (id: string) => setToasts((before) => before.filter((toast) => toast.id !== id)),
    [],
  )
  return { toasts, dismiss }
}
