import type { InboxItem } from '@carillon/client'
import { type KeyboardEvent, memo, type ReactNode, useRef, useState } from 'react'
import { useLostFocus } from '../hooks/use-lost-focus.js'
import { useParts } from '../parts.js'
import { type Follow, ItemContent } from './item-content.js'
import { ItemTools } from './item-tools.js'
import type { ItemCommands } from './use-commands.js'

/** What a page needs to draw the inside of a notification itself. */
export interface RenderItem {
  item: InboxItem
  commands: ItemCommands
  /** Give it to everything that takes the focus: Tab visits one notification only. */
  tabIndex: number
  /** How we draw it. */
  children: ReactNode
}

export interface ItemProps extends Follow {
  item: InboxItem
  idPrefix: string
  /** Place in the list, from 1. */
  position: number
  /** -1 when nobody knows. */
  size: number
  /** The one that the Tab key comes to. */
  current: boolean
  fresh: boolean
  now: number
  commands: ItemCommands
  onCurrent(id: string): void
  onLostFocus(): void
  renderItem?: ((props: RenderItem) => ReactNode) | undefined
}

export function Item(props: ItemProps): ReactNode {
  const { item, idPrefix, current, commands } = props
  const { part } = useParts()
  const article = useRef<HTMLElement>(null)
  const [snoozing, setSnoozing] = useState(false)
  useLostFocus(article, props.onLostFocus)
  const id = `${idPrefix}-${item.id}`
  const unread = item.readAt === null
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return
    const run = keyOf(event, {
      Enter: () => article.current?.querySelector<HTMLElement>('[data-opens]')?.click(),
      e: () => (item.archivedAt === null ? commands.archive(item) : commands.unarchive(item)),
      r: () => (unread ? commands.read(item) : commands.unread(item)),
      s: () => setSnoozing(true),
      Delete: () => commands.remove(item),
      Backspace: () => commands.remove(item),
    })
    if (run === undefined) return
    event.preventDefault()
    run()
  }
  const { title, body, time } = idsOf(id)
  return (
    <article
      {...part('item')}
      ref={article}
      tabIndex={current ? 0 : -1}
      data-id={item.id}
      data-unread={unread ? '' : undefined}
      data-fresh={props.fresh ? '' : undefined}
      data-lane={item.lane}
      aria-labelledby={title}
      aria-describedby={`${body} ${time}`}
      aria-posinset={props.position}
      aria-setsize={props.size}
      aria-keyshortcuts="Enter E R S Delete"
      onFocus={() => props.onCurrent(item.id)}
      onKeyDown={onKeyDown}
    >
      <Inside
        {...{ id, item, commands, snoozing }}
        tabIndex={current ? 0 : -1}
        now={props.now}
        onSnoozing={setSnoozing}
        renderItem={props.renderItem}
        onOpen={props.onOpen}
        onAction={props.onAction}
        linkTarget={props.linkTarget}
      />
    </article>
  )
}

interface InsideProps extends Follow, Pick<ItemProps, 'item' | 'now' | 'commands' | 'renderItem'> {
  id: string
  tabIndex: number
  snoozing: boolean
  onSnoozing(open: boolean): void
}

/** Stays as it is while places in the list change: a new notification moves them all. */
const Inside = memo(function Inside(props: InsideProps): ReactNode {
  const { id, item, tabIndex, commands, snoozing, onSnoozing, renderItem } = props
  const { part } = useParts()
  const read = () => {
    if (item.readAt === null) commands.read(item)
  }
  const ours = (
    <>
      <ItemContent {...props} ids={idsOf(id)} onRead={read} />
      <ItemTools {...{ item, commands, tabIndex, snoozing, onSnoozing }} />
    </>
  )
  return (
    <>
      <span {...part('mark')} aria-hidden="true" />
      {renderItem ? renderItem({ item, commands, tabIndex, children: ours }) : ours}
    </>
  )
})

function idsOf(id: string): { title: string; body: string; time: string } {
  return { title: `${id}-title`, body: `${id}-body`, time: `${id}-time` }
}

/** Enter belongs to what has the focus itself; the other keys to the whole notification. */
function keyOf(
  event: KeyboardEvent<HTMLElement>,
  keys: Record<string, () => void>,
): (() => void) | undefined {
  if (event.key === 'Enter' && event.target !== event.currentTarget) return undefined
  return keys[event.key] ?? keys[event.key.toLowerCase()]
}

function isTyping({ target }: KeyboardEvent): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}
