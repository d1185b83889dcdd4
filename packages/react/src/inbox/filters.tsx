import type { InboxFilter } from '@carillon/client'
import { type KeyboardEvent, type ReactNode, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { useParts } from '../parts.js'
import type { Messages } from '../text/messages.js'

const LABELS: Readonly<Record<InboxFilter, keyof Messages>> = {
  all: 'filterAll',
  unread: 'filterUnread',
  snoozed: 'filterSnoozed',
  archived: 'filterArchived',
}

export interface FiltersProps {
  filters: readonly InboxFilter[]
  current: InboxFilter
  panelId: string
  onChoose(filter: InboxFilter): void
}

/** Tabs over the list: one stop for the Tab key, arrows choose. */
export function Filters({ filters, current, panelId, onChoose }: FiltersProps): ReactNode {
  const { text } = useCarillonContext()
  const { part } = useParts()
  const tabs = useRef<HTMLDivElement>(null)
  const onKeyDown = (event: KeyboardEvent) => {
    const forward = text.dir === 'rtl' ? -1 : 1
    const at = filters.indexOf(current)
    const to = { ArrowRight: at + forward, ArrowLeft: at - forward, Home: 0, End: filters.length - 1 }[
      event.key
    ]
    if (to === undefined) return
    event.preventDefault()
    const index = (to + filters.length) % filters.length
    onChoose(filters[index] as InboxFilter)
    tabs.current?.querySelectorAll<HTMLElement>('[role=tab]')[index]?.focus()
  }
  return (
    <div
      {...part('filters')}
      ref={tabs}
      role="tablist"
      aria-label={text.messages.filters}
      onKeyDown={onKeyDown}
    >
      {filters.map((filter) => (
        <button
          {...part('filter')}
          key={filter}
          type="button"
          role="tab"
          id={`${panelId}-${filter}`}
          aria-selected={filter === current}
          aria-controls={panelId}
          tabIndex={filter === current ? 0 : -1}
          onClick={() => onChoose(filter)}
        >
          {text.messages[LABELS[filter]] as string}
        </button>
      ))}
    </div>
  )
}
