import { type RefObject, useEffect, useLayoutEffect, useRef } from 'react'

/** Calls back when the element goes away while the focus is in it, before the browser drops it. */
export function useLostFocus(element: RefObject<HTMLElement | null>, onLost: () => void): void {
  const latest = useRef(onLost)
  useEffect(() => {
    latest.current = onLost
  })
  useLayoutEffect(() => {
    const mounted = element.current
    return () => {
      if (mounted?.contains(document.activeElement)) latest.current()
    }
  }, [element])
}
