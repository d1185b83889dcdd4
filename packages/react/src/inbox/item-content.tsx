import type { InboxItem } from '@carillon/client'
import type { MouseEvent, ReactNode } from 'react'
import { useCarillonContext } from '../context.js'
import { safeUrl } from '../links.js'
import { useParts } from '../parts.js'

export type InboxAction = InboxItem['actions'][number]

/** What the page does when a notification or one of its buttons is followed. */
export interface Follow {
  /** It is read already. `event.preventDefault()` keeps the browser here, for a router of your own. */
  onOpen?: ((item: InboxItem, event: MouseEvent<HTMLElement>) => void) | undefined
  /** Without it, buttons that lead nowhere are not shown. */
  onAction?: ((item: InboxItem, action: InboxAction, event: MouseEvent<HTMLElement>) => void) | undefined
  /** Where links open. `_self` unless said. */
  linkTarget?: '_self' | '_blank' | undefined
}

export interface ItemContentProps extends Follow {
  item: InboxItem
  /** Ids of the parts that name and describe the notification. */
  ids: { title: string; body: string; time: string }
  now: number
  /** -1 for what the Tab key passes by. */
  tabIndex: number
  onRead(item: InboxItem): void
  /** Without its state and its time: it came just now. */
  bare?: boolean
}

/** A notification as it stands in a list or a toast: picture, title that opens it, subtitle, text, buttons, time. */
export function ItemContent(props: ItemContentProps): ReactNode {
  const { item, ids, tabIndex, onRead, onOpen, bare = false } = props
  const { text } = useCarillonContext()
  const { part } = useParts()
  const picture = safeUrl(item.picture)
  const open = (event: MouseEvent<HTMLElement>) => {
    onRead(item)
    onOpen?.(item, event)
  }
  return (
    <>
      <div {...part('content')}>
        <p {...part('item-title')} id={ids.title}>
          {!bare && item.readAt === null && <span {...part('hidden')}>{`${text.messages.unread}: `}</span>}
          <Lead
            {...part('open')}
            url={item.url}
            tabIndex={tabIndex}
            target={props.linkTarget}
            onClick={open}
            opens
          >
            <bdi>{item.title}</bdi>
          </Lead>
        </p>
        {item.subtitle && (
          <p {...part('subtitle')}>
            <bdi>{item.subtitle}</bdi>
          </p>
        )}
        {item.body && (
          <p {...part('body')} id={ids.body}>
            <bdi>{item.body}</bdi>
          </p>
        )}
        <Buttons {...props} />
        {!bare && <Meta {...props} />}
      </div>
      {picture && (
        <img
          {...part('picture')}
          src={picture}
          alt=""
          width={48}
          height={48}
          loading="lazy"
          decoding="async"
        />
      )}
    </>
  )
}

function Meta({ item, ids, now }: ItemContentProps): ReactNode {
  const { text } = useCarillonContext()
  const { part } = useParts()
  const at = new Date(item.createdAt)
  const snoozed = item.snoozedUntil && new Date(item.snoozedUntil)
  return (
    <p {...part('meta')} id={ids.time}>
      <time {...part('time')} dateTime={item.createdAt} title={text.full(at)}>
        {text.ago(at, now)}
      </time>
      {snoozed && <span>{text.fill(text.messages.snoozedUntil, { time: text.soon(snoozed, now) })}</span>}
    </p>
  )
}

function Buttons({ item, tabIndex, linkTarget, onAction, onRead }: ItemContentProps): ReactNode {
  const { part } = useParts()
  const shown = item.actions.filter(({ url }) => (url === null ? onAction !== undefined : safeUrl(url)))
  if (shown.length === 0) return null
  return (
    <div {...part('buttons')}>
      {shown.map((action) => (
        <Lead
          {...part('button')}
          key={action.id}
          url={action.url}
          tabIndex={tabIndex}
          target={linkTarget}
          onClick={(event) => {
            onRead(item)
            onAction?.(item, action, event)
          }}
        >
          <bdi>{action.label}</bdi>
        </Lead>
      ))}
    </div>
  )
}

interface LeadProps {
  url: string | null
  className?: string
  tabIndex: number
  target?: '_self' | '_blank' | undefined
  onClick(event: MouseEvent<HTMLElement>): void
  /** It stands for the whole notification. */
  opens?: boolean
  children: ReactNode
}

/** A link where the address is a safe one, else a button. */
function Lead({ url, target, opens, ...rest }: LeadProps): ReactNode {
  const href = safeUrl(url)
  const marked = opens ? { 'data-opens': '' } : {}
  if (href === undefined) return <button type="button" {...rest} {...marked} />
  const elsewhere = target === '_blank' ? { target, rel: 'noopener noreferrer' } : { rel: 'noreferrer' }
  return <a href={href} {...elsewhere} {...rest} {...marked} />
}
