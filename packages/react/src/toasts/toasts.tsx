import type { InboxItem } from '@carillon/client'
import { type FocusEvent, type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { useCarillonContext } from '../context.js'
import type { Follow } from '../inbox/item-content.js'
import { type Look, LookProvider, useParts } from '../parts.js'
import { Toast } from './toast.js'
import { useToasts } from './use-toasts.js'

export interface ToastsProps extends Follow, Look {
  /** How long one stays; 8 s unless said. Those of the lane `high` stay until they are dismissed. */
  durationMs?: number
  /** How many are shown at once; 4 unless said. */
  limit?: number
  /** The key that leads here from anywhere; `F8` unless said, null for none. */
  hotkey?: string | null
  /** Which notifications become toasts; all unless said. Keep the function the same between renders. */
  accept?: (item: InboxItem) => boolean
}

/**
 * Notifications that arrive while the page is open, spoken politely. The time stands still while the pointer or the focus
 * is on them, or the page is hidden. Esc dismisses the one with the focus, else the newest.
 */
export function Toasts({ unstyled, classNames, theme, ...props }: ToastsProps): ReactNode {
  return (
    <LookProvider look={{ unstyled, classNames, theme }}>
      <ToastList {...props} />
    </LookProvider>
  )
}

function ToastList(props: Omit<ToastsProps, keyof Look>): ReactNode {
  const { durationMs = 8_000, limit = 4, hotkey = 'F8', accept, ...follow } = props
  const { text } = useCarillonContext()
  const { root } = useParts()
  const { toasts, dismiss } = useToasts({ limit, accept })
  const [hovered, setHovered] = useState(false)
  const [focused, setFocused] = useState(false)
  const hidden = useHidden()
  const region = useRef<HTMLElement>(null)
  const before = useRef<Element>(null)
  useHotkey(hotkey, () => {
    const last = [...(region.current?.querySelectorAll<HTMLElement>('[data-toast]') ?? [])].at(-1)
    last?.querySelector<HTMLElement>('a, button')?.focus()
  })
  const onFocus = ({ relatedTarget }: FocusEvent) => {
    if (!focused) before.current = relatedTarget
    setFocused(true)
  }
  const onBlur = ({ relatedTarget }: FocusEvent) => {
    if (!region.current?.contains(relatedTarget as Node | null)) setFocused(false)
  }
  const onLostFocus = () => {
    const rest = [...(region.current?.querySelectorAll<HTMLElement>('[data-toast]') ?? [])]
    const next = rest.filter((toast) => !toast.contains(document.activeElement)).at(-1)
    const target = next?.querySelector<HTMLElement>('a, button') ?? before.current
    if (target instanceof HTMLElement) target.focus()
    if (next === undefined) setFocused(false)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return
    const own = (event.target as Element).closest('[data-toast]')?.getAttribute('data-toast')
    if (own == null) return
    event.stopPropagation()
    dismiss(own)
  }
  useEffect(() => {
    const newest = toasts.at(-1)
    if (newest === undefined) return undefined
    const onEscape = (event: globalThis.KeyboardEvent) => {
      const inside = region.current?.contains(event.target as Node)
      if (event.key === 'Escape' && !event.defaultPrevented && !inside) dismiss(newest.id)
    }
    document.addEventListener('keydown', onEscape)
    return () => document.removeEventListener('keydown', onEscape)
  }, [toasts, dismiss])
  // nothing under the pointer any more, though it never left
  useEffect(() => {
    if (toasts.length === 0) setHovered(false)
  }, [toasts.length])
  return (
    <section
      {...root('toasts')}
      ref={region}
      aria-label={text.messages.toasts}
      dir={text.dir}
      lang={text.locale}
      onPointerEnter={() => setHovered(true)}
      onPointerLeave={() => setHovered(false)}
      onFocus={onFocus}
      onBlur={onBlur}
      onKeyDown={onKeyDown}
      {...(hotkey && { 'aria-keyshortcuts': hotkey })}
    >
      <ol aria-live="polite" aria-relevant="additions">
        {toasts.map((item) => (
          <Toast
            key={item.id}
            {...follow}
            {...{ item, onLostFocus }}
            durationMs={item.lane === 'high' ? undefined : durationMs}
            paused={hovered || focused || hidden}
            onDismiss={dismiss}
          />
        ))}
      </ol>
    </section>
  )
}

function useHidden(): boolean {
  const [hidden, setHidden] = useState(false)
  useEffect(() => {
    const look = () => setHidden(document.visibilityState !== 'visible')
    look()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [])
  return hidden
}

function useHotkey(hotkey: string | null, run: () => void): void {
  const latest = useRef(run)
  useEffect(() => {
    latest.current = run
  })
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key === hotkey) latest.current()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [hotkey])
}
