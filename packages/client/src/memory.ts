import type { InboxItem } from '@carillon/contracts'
import type { ClientStorage } from './api.js'
import { createAlarm } from './backoff.js'
import type { PendingMark } from './inbox/marks.js'

const INBOX_AFTER_MS = 500
/** A database that another tab blocks does not answer: then it is done without. */
const READ_MS = 2_000

interface KeptInbox {
  items: readonly InboxItem[]
  unread: number
}

/** What one person's tabs keep between visits. Nothing here fails: without storage it just forgets. */
export interface Memory {
  read(): Promise<{ marks: readonly PendingMark[]; inbox: KeptInbox | null }>
  keepMarks(waiting: readonly PendingMark[]): void
  /** Written a little later, with what was kept last. */
  keepInbox(inbox: KeptInbox): void
  forget(): Promise<void>
}

export const NO_MEMORY: Memory = {
  read: async () => ({ marks: [], inbox: null }),
  keepMarks: () => undefined,
  keepInbox: () => undefined,
  forget: async () => undefined,
}

export function createMemory(storage: ClientStorage, group: string): Memory {
  const marksKey = `carillon.marks.${group}`
  const inboxKey = `carillon.inbox.${group}`
  let latest: KeptInbox | undefined
  const forgetting = (work: Promise<void>) => work.catch(() => undefined)
  const write = createAlarm(() => {
    if (latest !== undefined) void forgetting(storage.set(inboxKey, JSON.stringify(latest)))
  })
  const read = async <T>(key: string): Promise<T | null> => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, READ_MS, null)
    })
    try {
      return JSON.parse((await Promise.race([storage.get(key), late])) ?? 'null') as T | null
    } catch {
      return null
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    async read() {
      const [marks, inbox] = await Promise.all([read<PendingMark[]>(marksKey), read<KeptInbox>(inboxKey)])
      return { marks: marks ?? [], inbox }
    },
    keepMarks(waiting) {
      const work =
        waiting.length === 0 ? storage.remove(marksKey) : storage.set(marksKey, JSON.stringify(waiting))
      void forgetting(work)
    },
    keepInbox(inbox) {
      latest = inbox
      write.set(INBOX_AFTER_MS)
    },
    async forget() {
      latest = undefined
      write.clear()
      await Promise.all([forgetting(storage.remove(marksKey)), forgetting(storage.remove(inboxKey))])
    },
  }
}
