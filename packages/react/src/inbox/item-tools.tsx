import type { InboxItem } from '@carillon/client'
import { type ReactNode, type RefObject, useRef } from 'react'
import { useCarillonContext } from '../context.js'
import { Icon, type IconName } from '../icons.js'
import { useParts } from '../parts.js'
import { SnoozeMenu } from './snooze-menu.js'
import type { ItemCommands } from './use-commands.js'

export interface ItemToolsProps {
  item: InboxItem
  commands: ItemCommands
  tabIndex: number
  snoozing: boolean
  onSnoozing(open: boolean): void
}

/** What can be done with one notification. */
export function ItemTools({ item, commands, tabIndex, snoozing, onSnoozing }: ItemToolsProps): ReactNode {
  const { messages } = useCarillonContext().text
  const { part } = useParts()
  const snooze = useRef<HTMLButtonElement>(null)
  const tool = (
    name: IconName,
    label: string,
    run: () => void,
    ref?: RefObject<HTMLButtonElement | null>,
  ) => (
    <button
      {...part('tool')}
      type="button"
      aria-label={label}
      title={label}
      tabIndex={tabIndex}
      onClick={run}
      {...(ref && { ref, 'aria-haspopup': 'menu', 'aria-expanded': snoozing })}
    >
      <Icon name={name} />
    </button>
  )
  return (
    <div {...part('tools')}>
      {item.readAt === null
        ? tool('read', messages.markRead, () => commands.read(item))
        : tool('unread', messages.markUnread, () => commands.unread(item))}
      {tool('snooze', messages.snooze, () => onSnoozing(true), snooze)}
      {item.archivedAt === null
        ? tool('archive', messages.archive, () => commands.archive(item))
        : tool('unarchive', messages.unarchive, () => commands.unarchive(item))}
      {tool('remove', messages.remove, () => commands.remove(item))}
      {snoozing && (
        <SnoozeMenu
          anchor={snooze}
          snoozed={item.snoozedUntil !== null}
          onPick={(until) => (until ? commands.snooze(item, until) : commands.unsnooze(item))}
          onClose={() => onSnoozing(false)}
        />
      )}
    </div>
  )
}
