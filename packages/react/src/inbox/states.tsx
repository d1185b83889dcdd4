import type { ConnectionState, InboxFilter, InboxSnapshot } from '@carillon/client'
import { type ReactNode, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useLostFocus } from '../hooks/use-lost-focus.js'
import { Icon, type IconName } from '../icons.js'
import { useParts } from '../parts.js'
import type { Messages } from '../text/messages.js'

/** What stands where the list would. */
export type ListState = 'list' | 'loading' | 'empty' | 'failed' | 'offline' | 'signed-out'

/** Notifications that are known are always shown, whatever happened since. */
export function listState(
  { items, status }: Pick<InboxSnapshot, 'items' | 'status'>,
  connection: ConnectionState,
): ListState {
  if (items.length > 0) return 'list'
  if (status === 'ready') return 'empty'
  if (connection === 'signed-out' || connection === 'offline') return connection
  return status === 'failed' ? 'failed' : 'loading'
}

const ROWS = ['a', 'b', 'c', 'd', 'e']

/** Grey rows as high as notifications, so that nothing jumps when they come. */
export function Skeleton(): ReactNode {
  const { part } = useParts()
  return (
    <div aria-hidden="true">
      {ROWS.map((row) => (
        <div {...part('skeleton')} key={row}>
          <i />
          <i />
          <i />
        </div>
      ))}
    </div>
  )
}

const EMPTY: Readonly<Record<InboxFilter, { icon: IconName; words: keyof Messages }>> = {
  all: { icon: 'bell', words: 'emptyAll' },
  unread: { icon: 'read', words: 'emptyUnread' },
  snoozed: { icon: 'snooze', words: 'emptySnoozed' },
  archived: { icon: 'archive', words: 'emptyArchived' },
}

export function Empty({ filter }: { filter: InboxFilter }): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  const { icon, words } = EMPTY[filter]
  return (
    <div {...part('empty')}>
      <Icon name={icon} />
      <p>{messages[words] as string}</p>
      {filter === 'all' && <p>{messages.emptyAllHint}</p>}
    </div>
  )
}

export interface FailedProps {
  state: 'failed' | 'offline' | 'signed-out'
  onRetry(): void
  onLostFocus(): void
}

export function Failed({ state, onRetry, onLostFocus }: FailedProps): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  const box = useRef<HTMLDivElement>(null)
  useLostFocus(box, onLostFocus)
  return (
    <div {...part('failed')} ref={box} role="alert">
      <Icon name="offline" />
      <p>{state === 'signed-out' ? messages.signedOut : messages.failed}</p>
      {state !== 'signed-out' && (
        <button {...part('button')} type="button" onClick={onRetry}>
          {messages.retry}
        </button>
      )}
    </div>
  )
}
