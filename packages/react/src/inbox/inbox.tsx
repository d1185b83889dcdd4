import type { InboxFilter } from '@carillon/client'
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useAnnouncer } from '../hooks/use-announcer.js'
import { useConnectionState } from '../hooks/use-connection-state.js'
import { useInbox } from '../hooks/use-inbox.js'
import { useLostFocus } from '../hooks/use-lost-focus.js'
import { Icon } from '../icons.js'
import { type Look, LookProvider, useParts } from '../parts.js'
import { Filters } from './filters.js'
import { Panel, type PanelOptions } from './panel.js'
import { useArrivals } from './use-arrivals.js'
import { type Undoable, useCommands } from './use-commands.js'

export interface InboxProps extends PanelOptions, Look {
  /** The heading; `Notifications` in the person's language unless said. */
  title?: ReactNode
  /** 2 unless said: what fits below your own headings. */
  headingLevel?: 1 | 2 | 3 | 4 | 5 | 6
  /** Which filters are offered, in this order; all four unless said. With one or none there is no choice to show. */
  filters?: readonly InboxFilter[]
}

const ALL: readonly InboxFilter[] = ['all', 'unread', 'snoozed', 'archived']
/** Long enough to read and reach it. */
const UNDO_FOR_MS = 12_000

/** The signed-in person's notifications: filters, list, actions, live. */
export function Inbox({ unstyled, classNames, theme, ...props }: InboxProps): ReactNode {
  return (
    <LookProvider look={{ unstyled, classNames, theme }}>
      <InboxParts {...props} />
    </LookProvider>
  )
}

function InboxParts({ title, headingLevel = 2, filters = ALL, ...options }: InboxProps): ReactNode {
  const { text } = useCarillonContext()
  const { messages } = text
  const { part, root } = useParts()
  const inbox = useInbox()
  const { store, unread, filter } = inbox
  const [said, say] = useAnnouncer()
  const { commands, undoable, forget } = useCommands(store, text, say)
  const fresh = useArrivals(say)
  const id = useId()
  const ids = { panel: `${id}panel`, title: `${id}title`, hint: `${id}hint` }
  const Heading = `h${headingLevel}` as const
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() !== 'z' || event.altKey || event.shiftKey || undoable === undefined) return
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return
    event.preventDefault()
    undoable.undo()
  }
  return (
    <section
      {...root('inbox')}
      aria-labelledby={ids.title}
      dir={text.dir}
      lang={text.locale}
      onKeyDown={onKeyDown}
    >
      <header {...part('header')}>
        <Heading {...part('title')} id={ids.title}>
          {title ?? messages.notifications}
        </Heading>
        {unread > 0 && <span {...part('count')}>{text.plural(messages.unreadCount, unread)}</span>}
        <button
          {...part('tool')}
          type="button"
          aria-label={messages.readAll}
          title={messages.readAll}
          aria-disabled={unread === 0}
          onClick={() => unread > 0 && commands.readAll()}
        >
          <Icon name="read" />
        </button>
      </header>
      {filters.length > 1 && (
        <Filters
          {...{ filters, current: filter, panelId: ids.panel }}
          onChoose={(chosen) => void store.setFilter(chosen).catch(() => undefined)}
        />
      )}
      <Notice shown={inbox.items.length > 0} />
      <Panel
        {...options}
        {...{ id: ids.panel, titleId: ids.title, hintId: ids.hint, inbox, commands, fresh }}
      />
      {undoable && <Undo {...undoable} onOver={forget} onLostFocus={() => focusPanel(ids.panel)} />}
      <p {...part('hint')} id={ids.hint}>
        {messages.shortcuts}
      </p>
      <p {...part('hidden')} role="status">
        {said}
      </p>
    </section>
  )
}

/** What is wrong with the connection while notifications are shown. */
function Notice({ shown }: { shown: boolean }): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  const connection = useConnectionState()
  const words = { offline: messages.offline, 'signed-out': messages.signedOut }
  const said = connection === 'offline' || connection === 'signed-out' ? words[connection] : undefined
  return (
    <div role="status">
      {shown && said && (
        <p {...part('notice')}>
          <Icon name="offline" />
          {said}
        </p>
      )}
    </div>
  )
}

interface UndoProps extends Undoable {
  onOver(): void
  onLostFocus(): void
}

function Undo({ words, undo, onOver, onLostFocus }: UndoProps): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  useEffect(() => {
    const timer = setTimeout(onOver, UNDO_FOR_MS)
    return () => clearTimeout(timer)
  }, [onOver])
  const box = useRef<HTMLDivElement>(null)
  useLostFocus(box, onLostFocus)
  return (
    <div {...part('undo')} ref={box}>
      <span aria-hidden="true">{words}</span>
      <button {...part('button')} type="button" aria-keyshortcuts="Z" onClick={undo}>
        {messages.undo}
      </button>
    </div>
  )
}

/** Where Tab would come to in the list. */
function focusPanel(id: string): void {
  const panel = document.getElementById(id)
  const current = panel?.querySelector<HTMLElement>('[data-id][tabindex="0"]')
  ;(current ?? panel)?.focus()
}
