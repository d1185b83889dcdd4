import type { InboxItem, InboxStore } from '@carillon/client'
import { useCallback, useMemo, useState } from 'react'
import type { Text } from '../text/text.js'

/** What a person does with notifications. */
export interface ItemCommands {
  read(item: InboxItem): void
  unread(item: InboxItem): void
  archive(item: InboxItem): void
  unarchive(item: InboxItem): void
  snooze(item: InboxItem, until: Date): void
  unsnooze(item: InboxItem): void
  remove(item: InboxItem): void
  readAll(): void
}

/** What was done last and can be taken back. */
export interface Undoable {
  words: string
  undo(): void
}

export interface Commands {
  commands: ItemCommands
  undoable: Undoable | undefined
  forget(): void
}

/** Runs commands on the store; each is spoken, and what takes a notification away can be undone. */
export function useCommands(store: InboxStore, text: Text, say: (words: string) => void): Commands {
  const [undoable, setUndoable] = useState<Undoable>()
  const forget = useCallback(() => setUndoable(undefined), [])
  const commands = useMemo((): ItemCommands => {
    const { messages } = text
    const run = (words: string, work: Promise<void>, back?: () => Promise<void>): void => {
      say(words)
      setUndoable(back && { words, undo: () => run(messages.didUndo, back()) })
      // the store took it back already
      work.catch(() => {
        setUndoable(undefined)
        say(messages.didFail)
      })
    }
    return {
      read: ({ id }) => run(messages.didRead, store.read([id])),
      unread: ({ id }) => run(messages.didUnread, store.unread([id])),
      archive: ({ id }) => run(messages.didArchive, store.archive([id]), () => store.unarchive([id])),
      unarchive: ({ id }) => run(messages.didUnarchive, store.unarchive([id]), () => store.archive([id])),
      snooze({ id }, until) {
        const words = text.fill(messages.didSnooze, { time: text.soon(until, Date.now()) })
        run(words, store.snooze([id], until), () => store.unsnooze([id]))
      },
      unsnooze: ({ id }) => run(messages.didUnsnooze, store.unsnooze([id])),
      remove: ({ id }) => run(messages.didRemove, store.remove([id])),
      readAll: () => run(messages.didReadAll, store.readAll()),
    }
  }, [store, text, say])
  return { commands, undoable, forget }
}
