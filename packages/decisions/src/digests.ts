import type { DigestStep } from './steps.js'
import type { Calendar } from './time/calendar.js'

/** The window that gathers now, for one person, step and key. */
export interface OpenDigest {
  /** The run that goes on when it closes; null while it was flushed and nothing has come since. */
  digestId: string | null
  /** Milliseconds. */
  openedAt: number
  closesAt: number
  items: number
}

/** What became of an item, and of the window. */
export type Joined =
  /** It goes on at once, alone; what comes after it is gathered. */
  | { kind: 'flushed'; open: OpenDigest }
  /** `opens`: it is the first of its digest. `open` undefined: it was the last, and the window is closed. */
  | {
      kind: 'joined'
      digestId: string
      /** Its place among the items, from 1. */
      place: number
      closesAt: number
      opens: boolean
      open: OpenDigest | undefined
    }

export interface Joining {
  step: DigestStep
  timezone: string
  /** Milliseconds. */
  now: number
  calendar: Calendar
  /** Id of the digest that this item would be the first of. */
  digestId: string
}

/**
 * Adds one item to the window that is open, or opens one. A fold: whoever holds the window's row applies it to one item
 * after the other, so every item is in exactly one digest. A window whose time is over takes nothing in any more, even
 * when nobody has closed it yet.
 */
export function joinDigest(present: OpenDigest | undefined, joining: Joining): Joined {
  const { step, now, digestId } = joining
  const open = present !== undefined && present.closesAt > now ? present : undefined
  if (open === undefined) {
    const fresh: OpenDigest = { digestId: null, openedAt: now, closesAt: closingTime(joining, now), items: 0 }
    return step.flushFirst ? { kind: 'flushed', open: fresh } : gather(fresh, digestId, joining)
  }
  const closesAt =
    step.window.kind === 'sliding'
      ? Math.max(open.closesAt, closingTime(joining, open.openedAt))
      : open.closesAt
  return gather({ ...open, closesAt }, open.digestId ?? digestId, joining)
}

function gather(open: OpenDigest, digestId: string, { step, now }: Joining): Joined {
  const items = open.items + 1
  const full = items >= step.maxItems
  const closesAt = full ? now : open.closesAt
  return {
    kind: 'joined',
    digestId,
    place: items,
    closesAt,
    opens: open.digestId === null,
    open: full ? undefined : { digestId, openedAt: open.openedAt, closesAt, items },
  }
}

function closingTime({ step, timezone, now, calendar }: Joining, openedAt: number): number {
  const { window } = step
  if (window.kind === 'fixed') return openedAt + window.ms
  if (window.kind === 'sliding') return Math.min(now + window.ms, openedAt + window.atMostMs)
  return calendar.next(window.time, timezone, now)
}
