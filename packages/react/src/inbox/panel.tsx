import type { InboxFilter } from '@carillon/client'
import { type ReactNode, useCallback, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useConnectionState } from '../hooks/use-connection-state.js'
import type { UseInbox } from '../hooks/use-inbox.js'
import { useNow } from '../hooks/use-now.js'
import { useParts } from '../parts.js'
import { Item, type RenderItem } from './item.js'
import type { Follow } from './item-content.js'
import { More } from './more.js'
import { Empty, Failed, listState, Skeleton } from './states.js'
import type { ItemCommands } from './use-commands.js'
import { useRoving } from './use-roving.js'
import { useSeen } from './use-seen.js'

export interface PanelOptions extends Follow {
  /** The inside of a notification; `children` is ours. */
  renderItem?: (props: RenderItem) => ReactNode
  renderEmpty?: (filter: InboxFilter) => ReactNode
  /** `scroll` loads the next page when its end comes into view, `button` when asked. `scroll` unless said. */
  loadMore?: 'scroll' | 'button'
  /** Marks what is on the screen as seen. True unless said. */
  markSeen?: boolean
}

export interface PanelProps extends PanelOptions {
  id: string
  titleId: string
  hintId: string
  inbox: UseInbox
  commands: ItemCommands
  fresh: ReadonlySet<string>
}

/** The list, or what stands in its place. */
export function Panel(props: PanelProps): ReactNode {
  const { id, inbox, commands, renderItem, renderEmpty, loadMore = 'scroll', markSeen = true } = props
  const { items, store, hasMore, loadingMore, filter, error } = inbox
  const { text } = useCarillonContext()
  const { part } = useParts()
  const connection = useConnectionState()
  const now = useNow()
  const panel = useRef<HTMLDivElement>(null)
  const { current, setCurrent, onKeyDown, onLostFocus, expectAt } = useRoving(items, panel)
  useSeen(panel, { items, store, enabled: markSeen })
  // failures show in the snapshot
  const more = useCallback(() => void store.loadMore().catch(() => undefined), [store])
  const state = listState(inbox, connection)
  const { onOpen, onAction, linkTarget } = props
  return (
    <div
      {...part('panel')}
      ref={panel}
      id={id}
      role="tabpanel"
      aria-labelledby={`${id}-${filter}`}
      tabIndex={state === 'list' ? -1 : 0}
    >
      {state === 'list' && (
        <div
          {...part('list')}
          role="feed"
          aria-labelledby={props.titleId}
          aria-describedby={props.hintId}
          aria-busy={loadingMore || inbox.status === 'loading'}
          onKeyDown={onKeyDown}
        >
          {items.map((item, index) => (
            <Item
              key={item.id}
              {...{ item, commands, now, renderItem, onOpen, onAction, linkTarget, onLostFocus }}
              idPrefix={id}
              position={index + 1}
              size={hasMore ? -1 : items.length}
              current={item.id === current}
              fresh={props.fresh.has(item.id)}
              onCurrent={setCurrent}
            />
          ))}
        </div>
      )}
      {state === 'list' && hasMore && (
        <More
          loading={loadingMore}
          automatic={loadMore === 'scroll' && error === null}
          onMore={more}
          onPressed={() => expectAt(items.length)}
          onLostFocus={onLostFocus}
        />
      )}
      {state === 'loading' && <Skeleton />}
      {state === 'empty' && (renderEmpty?.(filter) ?? <Empty filter={filter} />)}
      {(state === 'failed' || state === 'offline' || state === 'signed-out') && (
        <Failed
          state={state}
          onLostFocus={onLostFocus}
          onRetry={() => void store.load().catch(() => undefined)}
        />
      )}
      <p {...part('hidden')} role="status">
        {state === 'loading' ? text.messages.loading : ''}
      </p>
    </div>
  )
}
