import type { InboxItem, InboxStore } from '@carillon/client'
import { type RefObject, useEffect, useMemo } from 'react'

/** Shown so long, a notification was seen; what is seen together is marked together. */
const SEEN_AFTER_MS = 400
/** How much of it, or of the list's height, has to show. */
const SHOWN = 0.5
const AT_ONCE = 100

/** Marks notifications as seen once they are on the screen and the page is looked at. */
export function useSeen(
  panel: RefObject<HTMLElement | null>,
  { items, store, enabled }: { items: readonly InboxItem[]; store: InboxStore; enabled: boolean },
): void {
  const unseen = useMemo(
    () =>
      items
        .filter(({ seenAt }) => seenAt === null)
        .map(({ id }) => id)
        .join(' '),
    [items],
  )
  useEffect(() => {
    const root = panel.current
    if (!enabled || unseen === '' || root === null) return undefined
    const wanted = new Set(unseen.split(' '))
    const shown = new Set<string>()
    let timer: ReturnType<typeof setTimeout> | undefined
    const mark = () => {
      timer = undefined
      if (document.visibilityState !== 'visible') return
      const ids = [...shown].slice(0, AT_ONCE)
      // seen again at the next look when it was refused
      if (ids.length > 0) store.seen(ids).catch(() => undefined)
    }
    const later = () => {
      timer ??= setTimeout(mark, SEEN_AFTER_MS)
    }
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const id = entry.target.getAttribute('data-id') ?? ''
          const { intersectionRatio, intersectionRect, rootBounds } = entry
          const enough =
            intersectionRatio >= SHOWN || intersectionRect.height >= (rootBounds?.height ?? Infinity) * SHOWN
          if (entry.isIntersecting && enough) shown.add(id)
          else shown.delete(id)
        }
        if (shown.size > 0) later()
      },
      { threshold: [0, SHOWN, 1] },
    )
    for (const element of root.querySelectorAll('[data-id]')) {
      if (wanted.has(element.getAttribute('data-id') ?? '')) observer.observe(element)
    }
    document.addEventListener('visibilitychange', later)
    return () => {
      observer.disconnect()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', later)
    }
  }, [panel, store, enabled, unseen])
}
