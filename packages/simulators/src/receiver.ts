import type { ShownMessage, SimulatedMessage } from './inbox.js'

/** What one device, mailbox or number got, and what it shows now. */
export interface Receiver {
  /** Messages that reached it, silent ones too. */
  received: number
  /** Arrivals of a notification that had arrived before: it rang twice. */
  repeated: number
  /** Those of them that left two cards of one notification on the screen. */
  shownTwice: number
  /** What is on the screen, oldest first: a later message with the same tag replaces, a clear push removes. */
  screen: ShownMessage[]
  /** How often each notification arrived; the newest 20 000. */
  seen: Map<string, number>
}

/** The same, over all devices of a provider. */
export interface ArrivalTotals {
  received: number
  repeated: number
  shownTwice: number
}

const MAX_SEEN = 20_000
/** Phones keep about as many cards of one app; the oldest goes. */
const MAX_CARDS = 25

export function createReceiver(): Receiver {
  return { received: 0, repeated: 0, shownTwice: 0, screen: [], seen: new Map() }
}

/** Counts an arrival and puts it on the screen, or takes off what it clears. */
export function receive(receiver: Receiver, message: SimulatedMessage, totals: ArrivalTotals): void {
  receiver.received++
  totals.received++
  if (message.clears !== undefined) {
    const { clears } = message
    receiver.screen = receiver.screen.filter((card) => card.nid !== clears)
    return
  }
  const again = message.nid !== undefined && countOf(receiver, message.nid) > 1
  if (again) {
    receiver.repeated++
    totals.repeated++
  }
  if (message.silent) return
  const { screen } = receiver
  const replaced = message.tag === undefined ? -1 : screen.findIndex((card) => card.tag === message.tag)
  if (replaced >= 0) screen.splice(replaced, 1)
  if (again && screen.some((card) => card.nid === message.nid)) {
    receiver.shownTwice++
    totals.shownTwice++
  }
  const { raw: _payload, html: _html, ...card } = message
  screen.push(card)
  if (screen.length > MAX_CARDS) screen.shift()
}

function countOf({ seen }: Receiver, nid: string): number {
  const count = (seen.get(nid) ?? 0) + 1
  if (count === 1 && seen.size >= MAX_SEEN) {
    const [oldest] = seen.keys()
    if (oldest !== undefined) seen.delete(oldest)
  }
  seen.set(nid, count)
  return count
}

/** Mailboxes and numbers, which nobody registers. The newest 100 000 are remembered. */
export interface Receivers {
  of(address: string): Receiver
  list(): [address: string, receiver: Receiver][]
  clear(): void
}

const MAX_ADDRESSES = 100_000

export function createReceivers(saved: readonly [string, SavedReceiver][] = []): Receivers {
  const all = new Map(saved.map(([address, one]) => [address, restoreReceiver(one)]))
  return {
    of(address) {
      const known = all.get(address)
      if (known) return known
      if (all.size >= MAX_ADDRESSES) {
        const [oldest] = all.keys()
        if (oldest !== undefined) all.delete(oldest)
      }
      const receiver = createReceiver()
      all.set(address, receiver)
      return receiver
    },
    list: () => [...all],
    clear: () => all.clear(),
  }
}

/** A receiver as JSON. */
export type SavedReceiver = Omit<Receiver, 'seen'> & { seen: [nid: string, count: number][] }

export function saveReceiver({ received, repeated, shownTwice, screen, seen }: Receiver): SavedReceiver {
  return { received, repeated, shownTwice, screen, seen: [...seen] }
}

export function restoreReceiver(saved: SavedReceiver): Receiver {
  const { received, repeated, shownTwice, screen, seen } = saved
  return { received, repeated, shownTwice, screen, seen: new Map(seen) }
}

/** Forgets what a device got; it shows nothing afterwards. */
export function clearReceiver(receiver: Receiver): void {
  Object.assign(receiver, createReceiver())
}
