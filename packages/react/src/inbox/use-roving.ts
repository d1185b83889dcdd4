import type { InboxItem } from '@carillon/client'
import { type KeyboardEvent, type RefObject, useCallback, useLayoutEffect, useRef, useState } from 'react'

export interface Roving {
  /** Id of the notification that Tab comes to. */
  current: string | undefined
  setCurrent(id: string): void
  onKeyDown(event: KeyboardEvent<HTMLElement>): void
  /** What has the focus goes away: after the change it is on the neighbour, or on the panel when nothing is left. */
  onLostFocus(): void
  /** After the next page has come, the focus is on its first notification. */
  expectAt(index: number): void
}

/** One stop for the Tab key in a list, arrows, Page keys, Home and End inside; the focus is never lost. */
export function useRoving(items: readonly InboxItem[], panel: RefObject<HTMLElement | null>): Roving {
  const [current, setCurrent] = useState<{ id: string; index: number }>()
  const lost = useRef(false)
  const expected = useRef<number>(undefined)

  const found = items.findIndex(({ id }) => id === current?.id)
  const index = found >= 0 ? found : Math.min(current?.index ?? 0, items.length - 1)
  const id = items[index]?.id
  // who stands in the place of one that went is next
  if (id !== undefined && (id !== current?.id || index !== current.index)) setCurrent({ id, index })

  useLayoutEffect(() => {
    const at = expected.current
    const wanted = at !== undefined && items.length > at ? items[at]?.id : lost.current ? id : undefined
    if (wanted === undefined && !lost.current) return
    if (at !== undefined && items.length > at) expected.current = undefined
    lost.current = false
    focusOn(panel.current, wanted)
  })

  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    const next = { ArrowDown: index + 1, PageDown: index + 1, ArrowUp: index - 1, PageUp: index - 1 }
    const ends = { Home: 0, End: items.length - 1 }
    const to = { ...next, ...ends }[event.key]
    if (to === undefined || !(event.target as Element).closest('[data-id]')) return
    const target = items[Math.max(0, Math.min(to, items.length - 1))]
    event.preventDefault()
    focusOn(panel.current, target?.id)
  }
  return {
    current: id,
    onKeyDown,
    setCurrent: useCallback((next: string) => setCurrent({ id: next, index: 0 }), []),
    onLostFocus: useCallback(() => {
      lost.current = true
    }, []),
    expectAt: useCallback((at: number) => {
      expected.current = at
    }, []),
  }
}

function focusOn(panel: HTMLElement | null, id: string | undefined): void {
  const item = id === undefined ? null : panel?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)
  const target = item ?? panel
  target?.focus({ preventScroll: true })
  item?.scrollIntoView({ block: 'nearest' })
}
