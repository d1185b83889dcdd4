import { type ReactNode, useEffect, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useLostFocus } from '../hooks/use-lost-focus.js'
import { useParts } from '../parts.js'

export interface MoreProps {
  loading: boolean
  /** Loads by itself when it comes into view. */
  automatic: boolean
  onMore(): void
  /** By a person: the focus goes on to what comes. */
  onPressed(): void
  onLostFocus(): void
}

/** The end of a list that goes on. */
export function More({ loading, automatic, onMore, onPressed, onLostFocus }: MoreProps): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  const button = useRef<HTMLButtonElement>(null)
  useLostFocus(button, onLostFocus)
  useEffect(() => {
    if (!automatic || loading || button.current === null) return undefined
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) onMore()
    })
    observer.observe(button.current)
    return () => observer.disconnect()
  }, [automatic, loading, onMore])
  return (
    <button
      {...part('more')}
      ref={button}
      type="button"
      aria-disabled={loading}
      onClick={() => {
        if (loading) return
        onPressed()
        onMore()
      }}
    >
      {loading ? messages.loadingMore : messages.loadMore}
    </button>
  )
}
