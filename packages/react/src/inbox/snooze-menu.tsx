import { type KeyboardEvent, type ReactNode, type RefObject, useLayoutEffect, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useFloating } from '../hooks/use-floating.js'
import { useParts } from '../parts.js'
import { snoozeTimes } from '../snooze-times.js'

export interface SnoozeMenuProps {
  anchor: RefObject<HTMLElement | null>
  /** A snoozed one can be shown again. */
  snoozed: boolean
  /** Null for now. */
  onPick(until: Date | null): void
  onClose(): void
}

/** A menu in the top layer: arrows, Home, End and first letters move, Esc closes, the focus goes back. */
export function SnoozeMenu({ anchor, snoozed, onPick, onClose }: SnoozeMenuProps): ReactNode {
  const { text } = useCarillonContext()
  const { part } = useParts()
  const menu = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const shown = menu.current
    shown?.showPopover()
    itemsOf(shown)[0]?.focus()
  }, [])
  useFloating(true, { anchor, floating: menu })
  const now = Date.now()
  const { hour, tomorrow, week } = snoozeTimes(now)
  const { messages } = text
  const choices: { label: string; until: Date | null }[] = [
    ...(snoozed ? [{ label: messages.unsnooze, until: null }] : []),
    { label: messages.snoozeHour, until: hour },
    { label: messages.snoozeTomorrow, until: tomorrow },
    { label: messages.snoozeWeek, until: week },
  ]
  const pick = (until: Date | null) => {
    menu.current?.hidePopover()
    onPick(until)
  }
  return (
    <div
      {...part('menu')}
      ref={menu}
      popover="auto"
      role="menu"
      tabIndex={-1}
      aria-label={messages.snooze}
      onToggle={({ newState }) => {
        if (newState === 'closed') onClose()
      }}
      onKeyDown={(event) => onMenuKey(event, menu.current)}
    >
      {choices.map(({ label, until }) => (
        <button
          {...part('menu-item')}
          key={label}
          type="button"
          role="menuitem"
          tabIndex={-1}
          onClick={() => pick(until)}
        >
          <span>{label}</span>
          {until && <time dateTime={until.toISOString()}>{text.soon(until, now)}</time>}
        </button>
      ))}
    </div>
  )
}

function itemsOf(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])]
}

function onMenuKey(event: KeyboardEvent<HTMLElement>, menu: HTMLElement | null): void {
  // the keys of the list behind are not the menu's
  event.stopPropagation()
  const items = itemsOf(menu)
  const at = items.indexOf(document.activeElement as HTMLElement)
  const next = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key]
  if (event.key === 'Tab') menu?.hidePopover()
  const letter = event.key.length === 1 && event.key !== ' ' ? event.key.toLowerCase() : undefined
  const named =
    letter && items.find((item, index) => index > at && item.textContent?.toLowerCase().startsWith(letter))
  const target = next === undefined ? named || undefined : items[next]
  if (target === undefined) return
  event.preventDefault()
  target.focus()
}
