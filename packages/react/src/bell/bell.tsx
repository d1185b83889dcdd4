import { type ReactNode, useId, useRef, useState } from 'react'
import { useCarillonContext } from '../context.js'
import { useFloating } from '../hooks/use-floating.js'
import { useUnread } from '../hooks/use-inbox.js'
import { Icon } from '../icons.js'
import { Inbox, type InboxProps } from '../inbox/inbox.js'
import { type Look, LookProvider, useParts } from '../parts.js'

/** The server counts no further. */
const COUNTED_TO = 1_000

export interface BellProps extends Look {
  /** What the popover shows; an inbox of its own unless said. */
  children?: ReactNode
  /** For the inbox in the popover. */
  inbox?: Omit<InboxProps, keyof Look>
  /** In place of the drawn bell. */
  icon?: ReactNode
}

/**
 * A button with the number of unread notifications; it opens the inbox beside it, in the top layer. Esc and a click
 * elsewhere close it, and the focus goes back to the button.
 */
export function Bell({ unstyled, classNames, theme, ...props }: BellProps): ReactNode {
  return (
    <LookProvider look={{ unstyled, classNames, theme }}>
      <BellParts {...props} />
    </LookProvider>
  )
}

function BellParts({ children, inbox, icon }: Omit<BellProps, keyof Look>): ReactNode {
  const { text } = useCarillonContext()
  const { messages } = text
  const { part, root } = useParts()
  const unread = useUnread()
  const [open, setOpen] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const popover = useRef<HTMLDivElement>(null)
  const id = useId()
  useFloating(open, { anchor: button, floating: popover })
  const count = unread >= COUNTED_TO ? `${text.number(COUNTED_TO)}+` : text.number(unread)
  return (
    <>
      <button
        {...root('bell')}
        ref={button}
        type="button"
        popoverTarget={id}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-label={
          unread === 0
            ? messages.notifications
            : `${messages.notifications}, ${text.plural(messages.unreadCount, unread)}`
        }
        dir={text.dir}
      >
        {icon ?? <Icon name="bell" />}
        {unread > 0 && (
          <span {...part('bell-count')} key={count} aria-hidden="true">
            {count}
          </span>
        )}
      </button>
      <div
        {...root('popover')}
        ref={popover}
        id={id}
        popover="auto"
        role="dialog"
        aria-label={messages.notifications}
        dir={text.dir}
        tabIndex={-1}
        // drawn before it shows, taken away after it hid
        onBeforeToggle={(event) => {
          if (event.target === popover.current && event.newState === 'open') setOpen(true)
        }}
        onToggle={(event) => {
          if (event.target !== popover.current) return
          if (event.newState === 'open') focusInside(popover.current)
          else {
            if (isNowhere(popover.current)) button.current?.focus()
            setOpen(false)
          }
        }}
      >
        {open && (children ?? <Inbox {...inbox} />)}
      </div>
    </>
  )
}

/** On the notification that Tab would come to, else on the whole. */
function focusInside(popover: HTMLElement | null): void {
  const item = popover?.querySelector<HTMLElement>('[data-id][tabindex="0"]')
  ;(item ?? popover)?.focus({ preventScroll: true })
}

/** The focus is in what hid, or lost. */
function isNowhere(popover: HTMLElement): boolean {
  const { activeElement } = document
  return activeElement === null || activeElement === document.body || popover.contains(activeElement)
}
