import type { InboxItem } from '@carillon/client'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useLostFocus } from '../hooks/use-lost-focus.js'
import { Icon } from '../icons.js'
import { type Follow, ItemContent } from '../inbox/item-content.js'
import { useParts } from '../parts.js'

export interface ToastProps extends Follow {
  item: InboxItem
  /** Undefined: until it is dismissed. */
  durationMs: number | undefined
  /** The time stands still. */
  paused: boolean
  onDismiss(id: string): void
  onLostFocus(): void
}

export function Toast({
  item,
  durationMs,
  paused,
  onDismiss,
  onLostFocus,
  ...follow
}: ToastProps): ReactNode {
  const { client, text } = useCarillonContext()
  const { part } = useParts()
  const box = useRef<HTMLLIElement>(null)
  const id = useId()
  const left = useRef(durationMs)
  useLostFocus(box, onLostFocus)
  useEffect(() => {
    if (paused || left.current === undefined) return undefined
    const began = performance.now()
    const timer = setTimeout(() => onDismiss(item.id), left.current)
    return () => {
      clearTimeout(timer)
      if (left.current !== undefined) left.current -= performance.now() - began
    }
  }, [paused, item.id, onDismiss])
  // refusals show in the inbox
  const read = () => {
    client.inbox.read([item.id]).catch(() => undefined)
    onDismiss(item.id)
  }
  return (
    <li {...part('toast')} ref={box} data-toast={item.id} data-lane={item.lane}>
      <ItemContent
        {...follow}
        item={item}
        ids={{ title: `${id}title`, body: `${id}body`, time: `${id}time` }}
        now={Date.parse(item.createdAt)}
        tabIndex={0}
        bare
        onRead={read}
      />
      <button
        {...part('close')}
        type="button"
        aria-label={text.messages.dismiss}
        title={text.messages.dismiss}
        aria-describedby={`${id}title`}
        onClick={() => onDismiss(item.id)}
      >
        <Icon name="close" />
      </button>
    </li>
  )
}
