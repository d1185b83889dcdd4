import { type FrameMessage, marksFrame, removedFrame, returnedFrame, STREAMS } from '@carillon/contracts'
import {
  clearShown,
  type InboxMark,
  type InboxRow,
  inboxPage,
  markInbox,
  removeFromInbox,
  snoozeInbox,
  type Tx,
} from '@carillon/postgres'
import type { EdgeDeps } from '../edge-deps.js'
import type { Whose } from './read-inbox.js'

/**
 * What people do to their inbox, over HTTP or their realtime connection: each answers how many notifications changed,
 * and tells the person's other devices of exactly those. Ids that aren't theirs change nothing.
 */
export interface InboxChanges {
  mark(whose: Whose, ids: readonly string[], mark: InboxMark, set: boolean): Promise<number>
  /** Puts off until then; null takes back at once. */
  snooze(whose: Whose, ids: readonly string[], until: Date | null): Promise<number>
  remove(whose: Whose, ids: readonly string[]): Promise<number>
  readAll(whose: Whose): Promise<number>
}

/** Most rows that one read-all changes in one transaction; it goes on until none is left. */
const READ_ALL_CHUNK = 500
const READ_ALL_CHUNKS = 40

export function createInboxChanges(deps: Pick<EdgeDeps, 'outbox' | 'now'>): InboxChanges {
  /** `clears`: what changed leaves the screens of phones too. */
  const change = (
    whose: Whose,
    how: {
      work: (tx: Tx) => Promise<InboxRow[]>
      frame: (whose: Whose, row: InboxRow) => FrameMessage
      clears: boolean
    },
  ): Promise<number> =>
    deps.outbox.change(whose.tenant, async (tx, tell) => {
      const rows = await how.work(tx)
      for (const row of rows) tell({ stream: STREAMS.live, ...how.frame(whose, row) })
      if (how.clears) {
        await clearShown(
          tx,
          rows.map(({ id }) => id),
        )
      }
      return rows.length
    })

  /** One chunk of a read-all; `more` may be unread, whoever else reads meanwhile. */
  const readSome = async (whose: Whose): Promise<{ changed: number; more: boolean }> => {
    let more = false
    const changed = await change(whose, {
      async work(tx) {
        const unread = await inboxPage(tx, { ...whose, limit: READ_ALL_CHUNK, filter: 'unread' })
        more = unread.length === READ_ALL_CHUNK
        const ids = unread.map(({ id }) => id)
        return markInbox(tx, { ...whose, ids, mark: 'read', set: true, atMs: deps.now() })
      },
      frame: marksFrame,
      clears: true,
    })
    return { changed, more }
  }

  return {
    mark(whose, ids, mark, set) {
      return change(whose, {
        work: (tx) => markInbox(tx, { ...whose, ids, mark, set, atMs: deps.now() }),
        frame: mark === 'archived' && !set ? returnedFrame : marksFrame,
        clears: set && mark !== 'seen',
      })
    },
    snooze(whose, ids, until) {
      return change(whose, {
        work: (tx) => snoozeInbox(tx, { ...whose, ids, until, atMs: deps.now() }),
        frame: until === null ? returnedFrame : marksFrame,
        clears: until !== null,
      })
    },
    remove(whose, ids) {
      return change(whose, {
        work: (tx) => removeFromInbox(tx, { ...whose, ids, atMs: deps.now() }),
        frame: (owner, { id }) => removedFrame(owner, id),
        clears: true,
      })
    },
    async readAll(whose) {
      let changed = 0
      for (let chunk = 0; chunk < READ_ALL_CHUNKS; chunk++) {
        const read = await readSome(whose)
        changed += read.changed
        if (!read.more) break
      }
      return changed
    },
  }
}
